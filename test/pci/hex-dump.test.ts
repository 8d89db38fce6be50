import { expect, test } from "bun:test";
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

test("64, 256 and 4096 raw bytes are a configuration space", () => {
  for (const sizeBytes of [64, 256, 4096]) {
    const bytes = new Uint8Array(sizeBytes).fill(0xee);
    expect(readDump(bytes)).toEqual([{ address: undefined, bytes }]);
  }
});

test("what is neither is refused, with what it should be", () => {
  expect(() => readDump(encode("hello\n"))).toThrow(DumpError);
  expect(() => readDump(new Uint8Array(65))).toThrow("64, 256, 4096 raw bytes, but 65");
});

test("bytes beyond 4096, and a header that is cut short, are refused by line and by name", () => {
  expect(() => readDump(encode(`00:09.0 X\n${header}\nfff: 00 01\n`))).toThrow(
    "line 6: bytes at 0xfff lie beyond",
  );
  expect(() => readDump(encode("00:09.0 X\n00: 01 02\n"))).toThrow("00:09.0: 2 bytes; a header has 64");
});
