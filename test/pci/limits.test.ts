import { expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { DumpError, readDump } from "../../src/pci/decode/hex-dump.ts";
import { openNames } from "../../src/pci/decode/names.ts";
import { MAX_DUMP_BYTES, MAX_NAMES_BYTES } from "../../src/pci/limits.ts";
import { tempFolder } from "../media/rig.ts";
import { ROOT } from "../scripts/rig.ts";

test("a list of names that is too large counts as missing", () => {
  using folder = tempFolder();
  const path = folder.file("pci.ids");
  writeFileSync(path, "10ee  Xilinx\n");
  expect(openNames([path]).vendor(0x10ee)).toBe("Xilinx");
  truncateSync(path, MAX_NAMES_BYTES + 1);
  expect(openNames([path]).vendor(0x10ee)).toBeUndefined();
});

test("a dump that is too large is refused, also where it has no end", () => {
  expect(() => readDump(new Uint8Array(new ArrayBuffer(MAX_DUMP_BYTES + 1)))).toThrow(DumpError);
  const { exitCode, stderr } = Bun.spawnSync([
    process.execPath,
    `${ROOT}/scripts/info.ts`,
    "--file",
    "/dev/zero",
  ]);
  expect([exitCode, stderr.toString()]).toEqual([
    1,
    expect.stringContaining(`it has more than ${MAX_DUMP_BYTES} bytes`),
  ]);
});
