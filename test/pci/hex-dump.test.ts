import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DumpError, readDump } from "../../src/pci/decode/hex-dump.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const row = (offset: number, first: number) =>
  `${offset.toString(16).padStart(2, "0")}: ${Array.from({ length: 16 }, (_, i) => ((first + i) & 0xff).toString(16).padStart(2, "0")).join(" ")}`;
const header = [0, 16, 32, 48].map((offset) => row(offset, offset)).join("\n");
const counted = Uint8Array.from({ length: 64 }, (_, i) => i);

test("a dump has an address and bytes for each function, with or without a domain", () => {
  const dump = `00:09.0 Memory controller: X\n${header}\n\n10000:e1:00.1 Bridge\n${header}\n40: 01 02\n`;
  expect(readDump(encode(dump))).toEqual([
    { address: "00:09.0", bytes: counted },
    { address: "10000:e1:00.1", bytes: Uint8Array.from([...counted, 1, 2]) },
  ]);
});

test("lines of text between the bytes, as lspci -vxxx prints them, are skipped", () => {
  const dump = `00:09.0 Memory controller: X\n\tSubsystem: Y\n\tCapabilities: [80] Power Management version 3\n${header}\n`;
  expect(readDump(encode(dump))).toEqual([{ address: "00:09.0", bytes: counted }]);
});

test("lines that end as on Windows, and trailing spaces, are read", () => {
  const dump = `00:09.0 X\n${header.replaceAll("\n", " \n")}\n`.replaceAll("\n", "\r\n");
  expect(readDump(encode(dump))).toEqual([{ address: "00:09.0", bytes: counted }]);
});

test("bytes without an address are a function, too", () => {
  expect(readDump(encode(`${header}\n`))).toEqual([{ address: undefined, bytes: counted }]);
});

test("a row that is missing reads as ones", () => {
  const dump = `00:09.0 X\n${header}\n50: 00\n`;
  const [only] = readDump(encode(dump));
  expect(only!.bytes.byteLength).toBe(0x51);
  expect([...only!.bytes.subarray(0x40, 0x51)]).toEqual([...Array(16).fill(0xff), 0]);
});

test("raw bytes in steps of 64 up to 4096 are a configuration space", () => {
  for (const sizeBytes of [64, 128, 192, 256, 1024, 4096]) {
    const bytes = new Uint8Array(sizeBytes).fill(0xee);
    expect(readDump(bytes)).toEqual([{ address: undefined, bytes }]);
  }
});

test("dumps of 192 and 1024 bytes are read", () => {
  for (const sizeBytes of [192, 1024]) {
    const rows = Array.from({ length: sizeBytes / 16 }, (_, i) => row(i * 16, i)).join("\n");
    expect(readDump(encode(`00:09.0 X\n${rows}\n`))[0]!.bytes.byteLength).toBe(sizeBytes);
  }
});

test("what is neither is refused, with what it should be; text of a fitting length, too", () => {
  expect(() => readDump(encode("hello\n"))).toThrow(DumpError);
  expect(() => readDump(new Uint8Array(65))).toThrow("64 to 4096 raw bytes in steps of 64; it has 65 bytes");
  expect(() => readDump(encode("x".repeat(127).concat("\n")))).toThrow(DumpError);
});

test("hexdump -C is read; its * stands for more rows of the same, up to the next offset", () => {
  const [only, ...others] = readDump(new Uint8Array(readFileSync(join(import.meta.dir, "hexdump-C.txt"))));
  const { address, bytes } = only!;
  expect([others.length, address, bytes.byteLength]).toEqual([0, undefined, 4096]);
  const view = new DataView(bytes.buffer);
  // The same function as in this dump of lspci; its ids, and Device 3 far behind a *.
  const [same] = readDump(new Uint8Array(readFileSync(join(import.meta.dir, "lspci-3.15", "dev3.txt"))));
  expect([view.getUint32(0, true), view.getUint32(0x300, true)]).toEqual([0xedda_16c3, 0x0001_002f]);
  expect(bytes).toEqual(same!.bytes);
});

test("the offset at the end of a hexdump -C ends what a * stands for", () => {
  const rows = [0, 16, 32, 48].map((offset) => row(offset, 0).replace(/^/, "000000").replace(":", " "));
  const dump = (end: string) => encode(`${rows.join("\n")}\n*\n${end}\n`);
  expect(readDump(dump("00000100"))[0]!.bytes.byteLength).toBe(256);
  expect([...readDump(dump("00000100"))[0]!.bytes.subarray(240, 243)]).toEqual([0, 1, 2]);
  expect(() => readDump(dump("00002000"))).toThrow("line 6: bytes at 0x00002000 lie beyond");
});

test("od -A x -t x1 and xxd -g 1 are read", () => {
  const octets = (offset: number) => row(offset, offset).split(": ")[1]!;
  const offsets = [0, 16, 32, 48];
  const od = offsets.map((offset) => `${offset.toString(16).padStart(6, "0")} ${octets(offset)}`);
  const xxd = offsets.map((offset) => `${offset.toString(16).padStart(8, "0")}: ${octets(offset)}  00 ab ..`);
  for (const rows of [[...od, "000040"], xxd])
    expect(readDump(encode(`${rows.join("\n")}\n`))).toEqual([{ address: undefined, bytes: counted }]);
});

test("an indented dump is read, as people quote it, with rows that are indented more than their function", () => {
  const indented = header.replace(/^/gm, "    ");
  for (const first of ["    00:09.0 X", "00:09.0 X", "\t00:09.0"])
    expect(readDump(encode(`Hello,\n\n${first}\n${indented}\n    \n`))).toEqual([
      { address: "00:09.0", bytes: counted },
    ]);
});

test("bytes in the text of a function, as info shows those of a capability, are none of its rows", () => {
  const text = "\tCapabilities: [40] Capability ID 0x42 [0201]\n\t\t40: 42 50 01 02";
  expect(readDump(encode(`00:09.0 X\n${text}\n${header}\n`))).toEqual([
    { address: "00:09.0", bytes: counted },
  ]);
});

test("a second offset 0 begins another function", () => {
  expect(readDump(encode(`${header}\n${header}\n`))).toHaveLength(2);
});

test("bytes beyond 4096, and a header that is cut short, are refused by line and by name", () => {
  expect(() => readDump(encode(`00:09.0 X\n${header}\nfff: 00 01\n`))).toThrow(
    "line 6: bytes at 0xfff lie beyond",
  );
  expect(() => readDump(encode("00:09.0 X\n00: 01 02\n"))).toThrow("00:09.0: 2 bytes; a header has 64");
});
