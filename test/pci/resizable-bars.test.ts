/**
 * Resizable BARs, from a mock of sysfs that does not do what is written to it. In a guest, where QEMU offers a BAR its own size only:
 * test/guest/inside/resize.inside.ts.
 */
import { afterAll, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { wordError } from "../../scripts/cli/remedy.ts";
import { describeBarSize, resizableBars, resizeBar } from "../../src/pci/bus/resizable-bars.ts";
import { tempFolder } from "../media/rig.ts";

const ADDRESS = "0000:01:00.0";
const MIB = 2 ** 20;
const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const root = folder.file("bus");
const path = join(root, ADDRESS);
const write = (name: string, text: string) => writeFileSync(join(path, name), `${text}\n`);
const NONE = "0x0000000000000000 0x0000000000000000 0x0000000000000000";
const BAR0 = "0x00000000fe000000 0x00000000fe000fff 0x0000000000040200";
const BAR1 = "0x0000008000000000 0x00000080007fffff 0x000000000014220c";

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  for (const [name, text] of Object.entries({
    vendor: "0x10ee",
    device: "0x7022",
    class: "0x058000",
    resource: [BAR0, BAR1, NONE, NONE, NONE, NONE, NONE].join("\n"),
    // 1 MiB, 8 MiB, 256 MiB, 8 GiB and 1 TiB.
    resource1_resize: "0000000000102109",
  }))
    write(name, text);
});

const failure = (index: number, sizeBytes: number) => {
  try {
    resizeBar(ADDRESS, index, sizeBytes, root);
  } catch (error) {
    return wordError(error);
  }
  return undefined;
};
const written = () => readFileSync(join(path, "resource1_resize"), "latin1");

test("each resizable BAR has its size and those that it can have", () => {
  const sizesBytes = [MIB, 8 * MIB, 256 * MIB, 8192 * MIB, 2 ** 40];
  expect(resizableBars(ADDRESS, root)).toEqual([{ index: 1, sizeBytes: 8 * MIB, sizesBytes }]);
  expect(sizesBytes.map(describeBarSize)).toEqual(["1 MiB", "8 MiB", "256 MiB", "8 GiB", "1 TiB"]);
  write("resource", [BAR0, NONE].join("\n"));
  write("resource0_resize", "0000000000000001");
  expect(resizableBars(ADDRESS, root).map(({ index, sizeBytes }) => [index, sizeBytes])).toEqual([
    [0, 4096],
    [1, 0],
  ]);
  write("resource1_resize", "what?");
  expect(() => resizableBars(ADDRESS, root)).toThrow('_resize says "what?"');
});

test("the kernel is given the size as a power of two of MiB, and what came of it is checked", () => {
  expect(failure(1, 256 * MIB)).toBe(
    `BAR1 of ${ADDRESS} was to have 256 MiB, and has 8 MiB now: the bridge above has no room for it; turn on Above 4G Decoding in the firmware, or boot with pci=realloc; bun run resize.ts ${ADDRESS} 1 8MiB gives it the size that it had`,
  );
  // In an ordinary file the rest stays.
  expect(written()).toBe("8000000000102109\n");
  write("resource1_resize", "0000000000102109");
  expect(resizeBar(ADDRESS, 1, 8 * MIB, root)).toBe(8 * MIB);
  expect(written()).toBe("3000000000102109\n");
});

test("what can't be is refused with what can, and nothing is written", () => {
  expect(failure(1, 2 * MIB)).toBe(
    `BAR1 of ${ADDRESS} can't have 2 MiB, but 1 MiB, 8 MiB, 256 MiB, 8 GiB, 1 TiB`,
  );
  expect(failure(0, MIB)).toBe(`BAR0 of ${ADDRESS} can't change its size, but BAR1 can`);
  const driver = folder.file("drivers/nvme");
  mkdirSync(driver, { recursive: true });
  symlinkSync(driver, join(path, "driver"));
  expect(failure(1, MIB)).toBe(
    `BAR1 of ${ADDRESS} can't change its size while nvme has the function; unbind that first: echo ${ADDRESS} > /sys/bus/pci/devices/${ADDRESS}/driver/unbind`,
  );
  expect(written()).toBe("0000000000102109\n");
  rmSync(join(path, "resource1_resize"));
  expect(resizableBars(ADDRESS, root)).toEqual([]);
  expect(failure(1, MIB)).toBe(
    `BAR1 of ${ADDRESS} can't change its size: the function offers that for no BAR, or the kernel is older than 5.19`,
  );
});
