import { expect, test } from "bun:test";
import { openRegisters } from "../../src/registers/access.ts";
import { registersMarkdown } from "../../src/registers/document.ts";
import { readRegisters, registersAsJson, showRegisters } from "../../src/registers/dump.ts";
import { packFields } from "../../src/registers/fields.ts";
import { findMistake } from "../../src/registers/mistake.ts";
import { elementsOf, type RegisterTable } from "../../src/registers/table.ts";

const table = {
  KIND: { offset: 0, width: 8, mode: "ro", about: "kind" },
  LENGTH: { offset: 2, width: 16, mode: "rw", order: "big", about: "length" },
  ADDRESS: {
    offset: 8,
    width: 64,
    mode: "rw",
    reset: 0x10_0000_0000n,
    about: "address",
    fields: { PAGE: { bits: [12, 63], about: "page" }, VALID: { bits: [0, 0], about: "valid" } },
  },
  BELL: { offset: 0x10, mode: "wo", count: 3, stride: 8, about: "bells" },
  HEAD: { offset: 0x14, mode: "ro", count: 3, stride: 8, about: "heads" },
  SERIAL: { offset: 0x28, width: 64, mode: "ro", order: "big", about: "serial" },
  EVENTS: { offset: 0x30, mode: "rc", about: "events" },
  GATES: { offset: 0x34, width: 16, mode: "w1s", range: [0, 7], about: "gates" },
} as const satisfies RegisterTable;

/** A region in memory, which notes its accesses. */
function region() {
  const view = new DataView(new ArrayBuffer(0x40));
  const log: string[] = [];
  const read =
    <T extends number | bigint>(width: number, get: (at: number) => T) =>
    (at: number): T => {
      log.push(`R${width} ${at}`);
      return get(at);
    };
  const write =
    <T extends number | bigint>(width: number, set: (at: number, value: T) => void) =>
    (at: number, value: T): void => {
      log.push(`W${width} ${at}`);
      set(at, value);
    };
  const io = {
    read8: read(8, (at) => view.getUint8(at)),
    read16: read(16, (at) => view.getUint16(at, true)),
    read32: read(32, (at) => view.getUint32(at, true)),
    read64: read(64, (at) => view.getBigUint64(at, true)),
    write8: write(8, (at, value: number) => view.setUint8(at, value)),
    write16: write(16, (at, value: number) => view.setUint16(at, value, true)),
    write32: write(32, (at, value: number) => view.setUint32(at, value, true)),
    write64: write(64, (at, value: bigint) => view.setBigUint64(at, value, true)),
  };
  return { view, log, io, regs: openRegisters(table, io) };
}

test("each register is accessed in its own width, once", () => {
  const { log, regs } = region();
  regs.KIND.read();
  regs.LENGTH.write(5);
  regs.ADDRESS.write(7);
  regs.ADDRESS.readFields();
  regs.BELL[2]!.write(1);
  regs.HEAD[1]!.read();
  regs.GATES.set(4);
  expect(log).toEqual(["R8 0", "W16 2", "W64 8", "R64 8", "W32 32", "R32 28", "W16 52"]);
});

test("64-bit registers and their fields are bigints, and big-endian ones have their bytes the other way round", () => {
  const { view, regs } = region();
  regs.ADDRESS.write(0x1234_5678_9abc_d001n);
  expect(regs.ADDRESS.read()).toBe(0x1234_5678_9abc_d001n);
  expect(regs.ADDRESS.readFields()).toEqual({ PAGE: 0x1234_5678_9abcdn, VALID: 1n });
  expect(packFields(table.ADDRESS, { PAGE: 2n ** 52n - 1n, VALID: 1 })).toBe(0xffff_ffff_ffff_f001n);
  regs.LENGTH.write(0x1234);
  expect([view.getUint8(2), view.getUint8(3), regs.LENGTH.read()]).toEqual([0x12, 0x34, 0x1234]);
  view.setBigUint64(0x28, 0x0102_0304_0506_0708n);
  expect(regs.SERIAL.read()).toBe(0x0102_0304_0506_0708n);
});

test("what the table says is in the types: modes, reset values, ranges, arrays", () => {
  const { regs } = region();
  const reset: 0x10_0000_0000n = regs.ADDRESS.reset;
  const range: readonly [0, 7] = regs.GATES.range;
  expect([reset, ...range]).toEqual([0x10_0000_0000n, 0, 7]);
  expect([regs.BELL.length, regs.HEAD.length]).toEqual([3, 3]);
  // @ts-expect-error a register that reads clear can't be written
  expect(regs.EVENTS.write).toBeUndefined();
  // @ts-expect-error bits of a w1s register are set, not written
  expect(regs.GATES.write).toBeUndefined();
  // @ts-expect-error an array is not a register
  expect(regs.BELL.write).toBeUndefined();
});

test("a value that does not fit the width is refused before any access", () => {
  const { log, regs } = region();
  expect(() => regs.LENGTH.write(0x1_0000)).toThrow("LENGTH: 65536 is not a whole number of 16 bits");
  expect(() => regs.BELL[1]!.write(-1)).toThrow("BELL[1]: -1 is not a whole number of 32 bits");
  expect(() => regs.ADDRESS.write(2n ** 64n)).toThrow("of 64 bits");
  expect(() => regs.ADDRESS.write(0.5)).toThrow(RangeError);
  expect(log).toEqual([]);
});

test("a region without accesses of a register's width is refused when it is opened", () => {
  const { io } = region();
  const narrow = { read32: io.read32, write32: io.write32 };
  expect(() => openRegisters(table, narrow)).toThrow("KIND has 8 bits, and the region has no read8");
});

test("a dump shows each register in its width, reads no wo, and rc only when it is asked for", () => {
  const { log, io, view } = region();
  view.setUint8(0, 0x7f);
  const bar = { ...io, index: 0, sizeBytes: 0x40 };
  const values = readRegisters(bar, "test", elementsOf(table), false);
  expect(log).toEqual(["R8 0", "R16 2", "R64 8", "R32 20", "R32 28", "R32 36", "R64 40", "R16 52"]);
  const lines = showRegisters(values).split("\n");
  expect(lines[0]).toBe("0x000  KIND     0x7f                127");
  expect(lines[2]).toBe("0x008  ADDRESS  0x0000000000000000  PAGE=0 VALID-");
  expect(lines[4]).toBe("0x018  BELL[1]  write-only");
  expect(lines).toContain("0x030  EVENTS   not read, since that clears it");
  expect(registersAsJson(values)).toMatchObject({
    "HEAD[2]": { offset: 0x24, mode: "ro", width: 32, value: "0x00000000" },
    ADDRESS: { width: 64, value: "0x0000000000000000", fields: { PAGE: { value: 0 } } },
    EVENTS: { value: null },
  });
  readRegisters(bar, "test", elementsOf({ EVENTS: table.EVENTS }), true);
  expect(log.at(-1)).toBe("R32 48");
});

test("the document says what differs from 32 bits, little-endian, one", () => {
  const rows = registersMarkdown(table).split("\n");
  expect(rows).toContain("| 0x000 | KIND | ro | 0x0 | kind; 8 bits |");
  expect(rows).toContain("| 0x002 | LENGTH | rw | 0x0 | length; 16 bits; big-endian |");
  expect(rows).toContain("| 0x010 | BELL[3] | wo | 0x0 | bells; one every 0x8 bytes |");
});

test.each<[string, object, string]>([
  ["a width", { width: 24 }, "the width of A is 24; it must be one of 8, 16, 32, 64"],
  ["an offset", { offset: 12, width: 64 }, "the offset of A is 12; it must be a multiple of 8"],
  ["an order", { order: "middle" }, "the order of A is middle; it must be little or big"],
  ["a count", { count: 0 }, "the count of A is 0; it must be from 1 to 65536"],
  ["a count that would fill memory", { count: 2 ** 40 }, "it must be from 1 to 65536"],
  ["a stride", { count: 2, stride: 2 }, "the stride of A is 2; it must be a multiple of 4 bytes, its width"],
  ["a stride alone", { stride: 4 }, "A has a stride, but no count, so it is no array"],
  [
    "a reset value",
    { width: 8, reset: 256 },
    "the reset value of A is 256; it must be a whole number of 8 bits",
  ],
  ["a range", { range: [5, 4] }, "the range of A must be [low, high], whole numbers of 32 bits"],
  [
    "a field",
    { width: 16, fields: { F: { bits: [0, 16] } } },
    "the bits of A.F must be [low, high], from 0 to 15",
  ],
  ["a neighbour", { width: 64 }, "A and B overlap at 0x4"],
])("a table is refused for %s", (_, part, message) => {
  const bad = { A: { offset: 0, mode: "rw", ...part }, B: { offset: 4, mode: "rw" } };
  expect(findMistake(bad)).toContain(message);
});

test("arrays may interleave, and a range may be in two's complement", () => {
  expect(findMistake(table)).toBeUndefined();
  expect(findMistake({ A: { offset: 0, mode: "rw", range: [-9, 9] } })).toBeUndefined();
});
