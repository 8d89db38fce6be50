import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { tempFolder } from "../../media/rig.ts";
import { ROOT, shell } from "../../scripts/rig.ts";

test("another project imports the library as vfiokit, encodes with it, and ends by itself", async () => {
  using folder = tempFolder();
  mkdirSync(folder.file("node_modules"));
  symlinkSync(ROOT, folder.file("node_modules/vfiokit"));
  writeFileSync(folder.file("package.json"), JSON.stringify({ name: "other", type: "module" }));
  writeFileSync(
    folder.file("main.ts"),
    `import { encodeFrames, openEncoder } from "vfiokit";
     const config = { width: 64, height: 64, framerate: 25 };
     const frame = (index: number) => ({ data: new Uint8Array(64 * 64 * 1.5).fill(index), timestamp: index * 40_000 });
     const encoder = openEncoder({ output: ({ type, timestamp, data }) => console.log(type, timestamp, data.length > 0) });
     await encoder.configure(config);
     await encoder.encode(frame(0));
     await encoder.encode(frame(1));
     await encoder.flush();
     encoder.close();
     let count = 0;
     for await (const chunk of encodeFrames({}, config, [frame(0), frame(1), frame(2)])) count++;
     console.log(count, "chunks");
    `,
  );
  const { exitCode, stdout, stderr } = await shell('cd "$1" && bun main.ts', folder.file("."));
  expect(stderr).toBe("");
  expect(new TextDecoder().decode(stdout)).toBe("key 0 true\ndelta 40000 true\n3 chunks\n");
  expect(exitCode).toBe(0);
});
