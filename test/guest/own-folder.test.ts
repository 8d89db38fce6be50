/** docs/your-device.md, section 5, done to the letter in a folder far from the checkout. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const TIMEOUT_MS = 180_000;
const root = resolve(import.meta.dir, "../..");
const [section] = /^## 5\. .*?(?=^## )/ms.exec(readFileSync(join(root, "docs/your-device.md"), "utf8"))!;
const blocks = (language: string) =>
  [...section.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map((match) => match[1]!);

test(
  "a driver in a folder of one's own imports vfiokit, on this machine and in a guest",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "vfiokit-own-"));
    const bash = async (line: string) => {
      const child = Bun.spawn(["bash", "-e", "-c", line.replaceAll("VFIOKIT", root)], {
        cwd: folder,
        stdio: ["ignore", "pipe", "pipe"],
      });
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      return { stdout, stderr, exitCode: await child.exited };
    };
    try {
      const [steps] = blocks("sh");
      const [program] = blocks("ts");
      expect(await bash(steps!)).toEqual({ stdout: "", stderr: "", exitCode: 0 });
      writeFileSync(join(folder, "edu-driver/example.ts"), program!);

      // It gets as far as the device, which this machine does not have.
      const here = await bash("cd edu-driver && VFIOKIT/node_modules/.bin/bun example.ts ffff:1f:1f.7");
      expect(here.stderr).toContain("DeviceError: ffff:1f:1f.7");

      const shown = blocks("console").flatMap((block) => block.split(/^\$ /m).slice(1));
      expect(shown).toHaveLength(1);
      const [command, ...lines] = shown[0]!.split("\n");
      const there = await bash(`cd edu-driver && ${command}`);
      expect(there).toEqual({ stdout: lines.join("\n"), stderr: there.stderr, exitCode: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  TIMEOUT_MS,
);
