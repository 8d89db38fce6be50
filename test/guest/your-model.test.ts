/** docs/your-model.md, command by command. */
import { expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bash, succeed } from "../packed.ts";

const root = join(import.meta.dir, "../..");
const BUN = join(root, "node_modules/.bin");

test("what docs/your-model.md shows is what comes out", async () => {
  const text = readFileSync(join(root, "docs/your-model.md"), "utf8");
  const blocks = [...text.matchAll(/```console\n(.*?)```/gs)].map((match) => match[1]!);
  const steps = blocks.flatMap((block) => block.split(/^\$ /m).slice(1));
  expect(steps.length).toBe(5);
  for (const step of steps) {
    const [command, ...shown] = step.split("\n");
    expect(await succeed(root, `PATH=$PATH:${BUN}; ${command}`)).toBe(shown.join("\n"));
  }
  const file = join(root, "counter-document.test.ts");
  try {
    writeFileSync(file, /```ts\n(.*?)```/s.exec(text)![1]!);
    const { exitCode, stderr } = await bash(root, `PATH=$PATH:${BUN}; bun test ./counter-document.test.ts`);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining(" 1 pass\n") });
  } finally {
    rmSync(file, { force: true });
  }
}, 180_000);
