/** Regenerates docs/encoder.md from the register table. */
import { writeFileSync } from "node:fs";
import { defineCommand } from "citty";
import { encoderDocument } from "../src/vp9/contract/document.ts";
import { runVerb } from "./cli/usage.ts";

const command = defineCommand({
  meta: {
    name: "docs.ts",
    description: `Regenerate docs/encoder.md from the tables in src/vp9/contract, after you change one of them.

Example:
  bun run docs.ts`,
  },
  args: {},
  run: () =>
    writeFileSync(new URL("../docs/encoder.md", import.meta.url), encoderDocument("bun run docs.ts")),
});

await runVerb(command);
