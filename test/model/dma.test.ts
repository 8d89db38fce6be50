import { afterEach, beforeEach, expect, test } from "bun:test";
import { DmaMapError, DmaTable } from "../../src/model/dma.ts";
import { errnoName } from "../../src/os/errno.ts";
import { type Fd, O_RDONLY, openFile } from "../../src/os/fd.ts";
import { libc } from "../../src/os/libc.ts";
import { createMemfd, viewMemory } from "../../src/os/memory.ts";
import { DmaFlag } from "../../src/protocol/vfio.ts";
import { looseMemfd } from "../os/loose-memfd.ts";
import { mappings } from "./rig.ts";

const { READ, WRITE } = DmaFlag;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
const MFD_HUGETLB = 4;
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

const errnoOf = (act: () => void): string => {
  try {
    act();
    return "mapped";
  } catch (error) {
    if (!(error instanceof DmaMapError)) throw error;
    return errnoName(error.errno);
  }
};

test("only a file that nobody can truncate is mapped, or any where the client is trusted", () => {
  using unsealed = looseMemfd("dma-test", 16 * PAGE);
  using grows = looseMemfd("dma-test", 16 * PAGE, F_SEAL_SHRINK);
  using shrinks = looseMemfd("dma-test", 16 * PAGE, F_SEAL_GROW | F_SEAL_SEAL);
  using huge = looseMemfd("dma-test", 2 ** 21, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, MFD_HUGETLB);
  using regular = openFile(import.meta.path, O_RDONLY);
  const mapsFirstPage = (to: DmaTable) => (fd: Fd) =>
    errnoOf(() => {
      to.map(0, PAGE, READ, fd, 0);
      to.unmapAll();
    });
  expect([file, grows, unsealed, shrinks, huge, regular].map(mapsFirstPage(table))).toEqual([
    "mapped",
    "mapped",
    "EPERM",
    "EPERM",
    "EPERM",
    "EPERM",
  ]);
  const trusting = new DmaTable(true);
  expect([file, grows, unsealed, shrinks].map(mapsFirstPage(trusting))).toEqual(Array(4).fill("mapped"));
});

test("mappings, files and their bytes have limits, and what is unmapped counts no more", () => {
  for (let i = 0; i < 65_535; i++) table.map(i * PAGE, PAGE, READ, undefined, 0);
  const one = () => errnoOf(() => table.map(2 ** 40, PAGE, READ, file, 0));
  expect(one()).toBe("ENOSPC");
  table.unmap(0, PAGE);
  expect(one()).toBe("mapped");
  table.unmapAll();

  const mapFile = (i: number, sizeBytes = PAGE) => {
    using fd = createMemfd("dma-test", sizeBytes);
    return errnoOf(() => table.map(i * PAGE, PAGE, READ, fd, 0));
  };
  for (let i = 0; i < 1024; i++) expect(mapFile(i)).toBe("mapped");
  expect(mapFile(1024)).toBe("ENOSPC");
  table.unmap(0, PAGE);
  expect(mapFile(1024)).toBe("mapped");
  table.unmapAll();

  expect([mapFile(0, 2 ** 43), mapFile(1, 2 ** 43), mapFile(2)]).toEqual(["mapped", "mapped", "ENOSPC"]);
}, 30_000);

test("of 65,534 mappings in any order each is found, and a range takes away those inside it", () => {
  const count = 65_534;
  // Every second page, in an order in which neighbours come far apart.
  for (let i = 0; i < count; i++)
    table.map(((i * 7919) % count) * 2 * PAGE, PAGE, READ, file, (i % 16) * PAGE);
  const found = (page: number) => {
    const ranges = table.resolve(page * PAGE, PAGE, false);
    release(ranges);
    return ranges !== undefined;
  };
  for (let i = 0; i < count; i += 3) expect([found(2 * i), found(2 * i + 1)]).toEqual([true, false]);
  expect(errnoOf(() => table.map(2 * PAGE, 2 * PAGE, READ, file, 0))).toBe("EEXIST");
  table.unmap(100 * PAGE + 1, 100 * PAGE);
  expect([100, 102, 198, 200].map(found)).toEqual([true, false, false, true]);
  expect(errnoOf(() => table.map(101 * PAGE, 16 * PAGE, READ, file, 0))).toBe("mapped");
  expect([101, 116, 117].map(found)).toEqual([true, true, false]);
}, 30_000);

test("a file that has grown can be mapped as far as it reaches now", () => {
  using file = looseMemfd("dma-test", 16 * PAGE, F_SEAL_SHRINK);
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
