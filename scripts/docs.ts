/** Regenerates the documents that are made from the sources. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { defineCommand } from "citty";
import { encoderDocument } from "../src/vp9/contract/document.ts";
import type { BenchReport } from "./bench/case.ts";
import type { CampaignResult } from "./campaign/campaign.ts";
import { runVerb } from "./cli/usage.ts";
import { readReference } from "./docs/doors.ts";
import { apiPages } from "./docs/pages.ts";
import { performancePage } from "./docs/performance.ts";
import { reliabilityPage } from "./docs/reliability.ts";
import { withSettingsTable } from "./docs/settings-table.ts";

const MADE_BY = "bun run docs.ts";

const command = defineCommand({
  meta: {
    name: "docs.ts",
    description: `Regenerate docs/encoder.md from the tables in src/vp9/contract, the settings in docs/encode.md from
encode.ts's options, docs/performance.md from docs/performance.json, which bench.ts writes, docs/reliability.md from docs/reliability.json,
which campaign.ts writes, and docs/api from the comments of what the package exports. Run it after you change one of them.

Example:
  bun run docs.ts`,
  },
  args: {},
  run: async () => {
    const docs = new URL("../docs/", import.meta.url);
    writeFileSync(new URL("encoder.md", docs), encoderDocument(MADE_BY));
    const encode = new URL("encode.md", docs);
    writeFileSync(encode, withSettingsTable(readFileSync(encode, "utf8")));
    const report = JSON.parse(readFileSync(new URL("performance.json", docs), "utf8")) as BenchReport;
    writeFileSync(new URL("performance.md", docs), performancePage(report, MADE_BY));
    const results = JSON.parse(readFileSync(new URL("reliability.json", docs), "utf8")) as CampaignResult[];
    writeFileSync(new URL("reliability.md", docs), reliabilityPage(results, MADE_BY));
    mkdirSync(new URL("api", docs), { recursive: true });
    for (const { file, text } of apiPages(await readReference(), MADE_BY))
      writeFileSync(new URL(`api/${file}`, docs), text);
  },
});

await runVerb(command);
