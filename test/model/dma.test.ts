import { afterEach, beforeEach, expect, test } from "bun:test";
import { DmaFlag } from "../../src/device/vfio-abi.ts";
import { DmaTable } from "../../src/model/dma.ts";
import type { Fd } from "../../src/os/fd.ts";
import { libc } from "../../src/os/libc.ts";
import { createMemfd, viewMemory } from "../../src/os/memory.ts";
import { mappings } from "./rig.ts";

const { READ, WRITE } = DmaFlag;
const PAGE = 4096;
const mapped = () => mappings(process.pid, "memfd:dma-test");

let table: DmaTable;
let file: Fd;
beforeEach(() => {
  table = new DmaTable();
  file = createMemfd("dma-test", 16 * PAGE);
});
afterEach(() => {
  table.unmapAll();
  file[Symbol.dispose]();
  expect(mapped()).toBe(0);
});

const sizes = (ranges: ReturnType<DmaTable["resolve"]>) => ranges?.map(({ sizeBytes }) => sizeBytes);
const release = (ranges: ReturnType<DmaTable["resolve"]>) => {
  for (const range of ranges ?? []) range.release();
};

test("a range over mappings that lie side by side in their file is one piece, over others one each", () => {
  table.map(0, PAGE, READ, file, 0);
  table.map(PAGE, PAGE, READ, file, PAGE);
  table.map(2 * PAGE, PAGE, READ, file, 8 * PAGE);
  const ranges = table.resolve(100, 3 * PAGE - 200, false);
  expect(sizes(ranges)).toEqual([2 * PAGE - 100, PAGE - 100]);
  expect(ranges![1]!.address - ranges![0]!.address).toBe(8 * PAGE - 100);
  release(ranges);
});

test("a file is mapped once, however many mappings lie in it, and not before there is one", () => {
  expect(mapped()).toBe(0);
  for (let i = 0; i < 16; i++) table.map(i * PAGE, PAGE, READ | WRITE, file, (15 - i) * PAGE);
  expect(mapped()).toBe(1);
  table.unmap(0, 15 * PAGE);
  expect(mapped()).toBe(1);
  table.unmap(0, 16 * PAGE);
  expect(mapped()).toBe(0);
});

test("only what is mapped for reading can be read, and only what is mapped for writing written", () => {
  table.map(0, PAGE, READ, file, 0);
  table.map(PAGE, PAGE, WRITE, file, PAGE);
  table.map(2 * PAGE, PAGE, READ | WRITE, file, 2 * PAGE);
  table.map(3 * PAGE, PAGE, 0, file, 3 * PAGE);
  table.map(4 * PAGE, PAGE, READ | WRITE, undefined, 0);
  const can = [0, 1, 2, 3, 4, 5].map((page) =>
    [false, true].map((write) => {
      const ranges = table.resolve(page * PAGE, PAGE, write);
      release(ranges);
      return ranges !== undefined;
    }),
  );
  expect(can).toEqual([
    [true, false],
    [false, true],
    [true, true],
    [false, false],
    [false, false],
    [false, false],
  ]);
  expect(table.resolve(0, 2 * PAGE, true)).toBeUndefined();
});

test("what was resolved stays readable after it is unmapped, until it is released", () => {
  table.map(0, 4 * PAGE, READ | WRITE, file, 0);
  const ranges = table.resolve(PAGE, 2 * PAGE, true)!;
  viewMemory(ranges[0]!.address, 2 * PAGE).fill(7);
  table.unmapAll();
  expect(table.resolve(PAGE, 2 * PAGE, false)).toBeUndefined();
  expect(mapped()).toBe(1);
  expect(viewMemory(ranges[0]!.address, 2 * PAGE).every((byte) => byte === 7)).toBe(true);
  // Mapped again meanwhile, it is the same memory, and outlives the first range.
  table.map(0, 4 * PAGE, READ | WRITE, file, 0);
  release(ranges);
  expect(mapped()).toBe(1);
});

test("a file that has grown can be mapped as far as it reaches now", () => {
  table.map(0, 16 * PAGE, READ, file, 0);
  expect(() => table.map(16 * PAGE, PAGE, READ, file, 16 * PAGE)).toThrow(
    "at 65536 of a file of 65536 bytes",
  );
  expect(libc.ftruncate(file.number, 32 * PAGE)).toBe(0);
  table.map(16 * PAGE, 16 * PAGE, READ, file, 16 * PAGE);
  const ranges = table.resolve(15 * PAGE, 17 * PAGE, false);
  expect(sizes(ranges)).toEqual([PAGE, 16 * PAGE]);
  release(ranges);
});
