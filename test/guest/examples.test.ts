/** The examples as a stranger has them: in a folder of their own, beside the package as npm packs it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { bash, npmInstall, type Packed, pack, succeed } from "../packed.ts";

const TIMEOUT_MS = 300_000;

let packed: Packed;
beforeAll(async () => {
  packed = await pack();
}, TIMEOUT_MS);
afterAll(() => packed[Symbol.dispose]());

test(
  "the counter's tests pass in process, over a socket and in both guests, and import only vfiokit",
  async () => {
    const folder = packed.project("counter");
    await succeed(folder, npmInstall, packed.tarball);
    cpSync(join(folder, "node_modules/vfiokit/examples/counter"), folder, { recursive: true });
    const { exitCode, stderr } = await bash(folder, "npx bun test");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining(" 4 pass\n 0 fail\n"),
    });

    // A register table in a driver's file, which imports the library.
    const table = "node_modules/vfiokit/examples/edu/edu.ts";
    expect(await succeed(folder, `npx vfiokit regs model:vp9 IDENTITY --table ${table}`)).toContain(
      "0x45395056",
    );

    const lines = (name: string) => readFileSync(join(folder, name), "utf8").trimEnd().split("\n");
    expect(lines("counter.model.ts").length).toBeLessThanOrEqual(45);
    expect(lines("counter.ts").length).toBeLessThanOrEqual(25);
    const sources = ["registers.ts", "counter.model.ts", "counter.ts", "counter.test.ts"].flatMap(lines);
    const imported = sources.flatMap((line) => / from "([^"]+)"/.exec(line)?.[1] ?? []);
    for (const name of new Set(imported)) expect(name).toMatch(/^(vfiokit(\/\w+)?|bun:test|\.\/[\w.]+)$/);
  },
  TIMEOUT_MS,
);
