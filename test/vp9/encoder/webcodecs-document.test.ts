import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "../../media/rig.ts";
import { ROOT, shell } from "../../scripts/rig.ts";

setDefaultTimeout(60_000);

test("what docs/webcodecs.md shows is what comes out", async () => {
  const text = readFileSync(join(ROOT, "docs/webcodecs.md"), "utf8");
  const examples = [
    ...text.matchAll(/Save this as `([\w.]+)`:\n\n```ts\n(.*?)```\n\n```console\n\$ npx bun \1\n(.*?)```/gs),
  ];
  expect(examples.map(([, file]) => file!)).toEqual(["encode.ts", "mux.ts"]);
  using folder = tempFolder();
  mkdirSync(folder.file("node_modules"));
  symlinkSync(ROOT, folder.file("node_modules/vfiokit"));
  symlinkSync(join(ROOT, "node_modules/mediabunny"), folder.file("node_modules/mediabunny"));
  writeFileSync(folder.file("package.json"), JSON.stringify({ name: "other", type: "module" }));
  for (const [, file, program, shown] of examples) {
    writeFileSync(folder.file(file!), program!);
    const { exitCode, stdout, stderr } = await shell('cd "$1" && bun "$2"', folder.file("."), file!);
    expect(stderr).toBe("");
    expect(new TextDecoder().decode(stdout)).toBe(shown!);
    expect(exitCode).toBe(0);
  }
});
