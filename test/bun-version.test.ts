/** What an older Bun is told, by a real one. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { verbs } from "../scripts/vfiokit/verbs.ts";
import { outcome, tempFolder } from "./media/rig.ts";
import { fetchOldBun, OLD_BUN } from "./old-bun.ts";

const root = resolve(import.meta.dir, "..");

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly engines: Readonly<Record<string, string>>;
};

test("an older Bun is told which one is needed and how to get it, by every verb and by the library", async () => {
  const bun = await fetchOldBun();
  using folder = tempFolder();
  const program = folder.file("program.ts");
  writeFileSync(program, `import { openDevice } from "${root}/src/index.ts";\nopenDevice("model:vp9");`);
  const names = [...Object.keys(verbs), "guest", "bench", "docs", "build", "vfiokit"];
  for (const path of [...names.map((name) => `${root}/scripts/${name}.ts`), program]) {
    const { exitCode, stdout, stderr } = outcome([bun, path, "--help"]);
    expect({ path, exitCode, stdout: stdout.toString() }).toEqual({ path, exitCode: 1, stdout: "" });
    expect(stderr).toStartWith(
      `error: vfiokit needs Bun ${manifest.dependencies.bun} or later, and ${bun} is Bun ${OLD_BUN}. In a clone, npm install gets one that is new enough`,
    );
  }
}, 300_000);

test("package.json asks for the Bun that the check asks for", () => {
  expect(manifest.engines.bun).toBe(`>=${manifest.dependencies.bun}`);
});
