/** What the documents show at a root prompt is what the commands print in this guest. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A document has many commands, and each starts Bun in an emulated machine. */
setDefaultTimeout(240_000);

const root = join(import.meta.dir, "../../..");
const work = join(root, "work");
mkdirSync(work, { recursive: true });
// As --in edu.ts does.
copyFileSync(join(root, "examples/edu/edu.ts"), join(work, "edu.ts"));

/** Times differ from run to run. */
const comparable = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trimEnd().replace(/\d+\.\d+/g, "N"))
    .filter((line) => line !== "");

test.each(["docs/your-device.md", "README.md"])("%s", async (name) => {
  const text = readFileSync(join(root, name), "utf8");
  const blocks = (language: string) =>
    [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map((match) => match[1]!);
  for (const program of blocks("ts")) writeFileSync(join(work, "example.ts"), program);
  const steps = blocks("console").flatMap((block) => block.split(/^# /m).slice(1));
  expect(steps.length).toBeGreaterThan(3);
  for (const step of steps) {
    const [command, ...shown] = step.split("\n");
    const child = Bun.spawn(["sh", "-c", `${command} 2>&1`], { cwd: work, stdin: "ignore" });
    const printed = await new Response(child.stdout).text();
    await child.exited; // its output may go elsewhere, and end sooner
    expect({ command, printed: comparable(printed) }).toEqual({
      command,
      printed: comparable(shown.join("\n")),
    });
  }
});
