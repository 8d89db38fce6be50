/**
 * Exact-width accesses to device memory, little-endian, in program order.
 *
 * JavaScript makes no promise about how it accesses a typed array: it hoists loads out of polling loops and
 * merges stores, and `DataView` splits words into bytes. So registers and windows are accessed by short
 * routines of machine code, called through bun:ffi, which the engine can neither inspect nor reorder. Each is
 * one load or one store of the named width and a return. Arguments follow the System V (x86-64) and AAPCS64
 * calling conventions.
 *
 * The caller guarantees that the address is mapped, in range, and aligned to the width. Accessing a device
 * that is gone raises SIGBUS, which nothing can catch.
 */
import { type FFITypeOrString, linkSymbols } from "bun:ffi";
import { pointer } from "./libc.ts";
import { mapExecutable } from "./memory.ts";

const x64 = {
  read8: "0fb607c3",
  read16: "0fb707c3",
  read32: "8b07c3",
  read64: "488b07c3",
  write8: "408837c3",
  write16: "668937c3",
  write32: "8937c3",
  write64: "488937c3",
  copy32: "4889d1f3a5c3",
  copy64: "4889d1f348a5c3",
  fence: "0faef0c3",
};

/** Instruction words. The return (d65f03c0) is appended below; the copies reach it by their first branch. */
const arm64 = {
  read8: "39400000",
  read16: "79400000",
  read32: "b9400000",
  read64: "f9400000",
  write8: "39000001",
  write16: "79000001",
  write32: "b9000001",
  write64: "f9000001",
  copy32: "b40000a2 b8404423 b8004403 d1000442 17fffffc",
  copy64: "b40000a2 f8408423 f8008403 d1000442 17fffffc",
  fence: "d5033fbf",
};

type Operation = keyof typeof x64;

function machineCode(operation: Operation): Uint8Array {
  if (process.arch === "x64") return Uint8Array.fromHex(x64[operation]);
  const words = `${arm64[operation]} d65f03c0`.split(" ").map((word) => Number.parseInt(word, 16));
  const code = new DataView(new ArrayBuffer(words.length * 4));
  for (const [i, word] of words.entries()) code.setUint32(i * 4, word, true);
  return new Uint8Array(code.buffer);
}

const SLOT_BYTES = 32;
const operations = Object.keys(x64) as Operation[];
const code = new Uint8Array(new ArrayBuffer(operations.length * SLOT_BYTES));
for (const [i, operation] of operations.entries()) code.set(machineCode(operation), i * SLOT_BYTES);
/** Never unmapped: the functions below point into it. */
const page = mapExecutable(code);

function at<const A extends FFITypeOrString[], R extends FFITypeOrString>(
  operation: Operation,
  args: A,
  returns: R,
) {
  return { ptr: pointer(page.address + operations.indexOf(operation) * SLOT_BYTES), args, returns };
}

const native = linkSymbols({
  read8: at("read8", ["ptr"], "u8"),
  read16: at("read16", ["ptr"], "u16"),
  read32: at("read32", ["ptr"], "u32"),
  read64: at("read64", ["ptr"], "u64"),
  write8: at("write8", ["ptr", "u8"], "void"),
  write16: at("write16", ["ptr", "u16"], "void"),
  write32: at("write32", ["ptr", "u32"], "void"),
  write64: at("write64", ["ptr", "u64"], "void"),
  copy32: at("copy32", ["ptr", "ptr", "u64"], "void"),
  copy64: at("copy64", ["ptr", "ptr", "u64"], "void"),
  fence: at("fence", [], "void"),
}).symbols;

export const read8 = native.read8 as unknown as (address: number) => number;
export const read16 = native.read16 as unknown as (address: number) => number;
export const read32 = native.read32 as unknown as (address: number) => number;
export const read64 = native.read64 as unknown as (address: number) => bigint;
export const write8 = native.write8 as unknown as (address: number, value: number) => void;
export const write16 = native.write16 as unknown as (address: number, value: number) => void;
export const write32 = native.write32 as unknown as (address: number, value: number) => void;
export const write64 = native.write64 as unknown as (address: number, value: bigint) => void;
/** `count` ordered 32-bit loads from `from`, each followed by its store to `to`. */
export const copy32 = native.copy32 as unknown as (to: number, from: number, count: number) => void;
/** `count` ordered 64-bit loads from `from`, each followed by its store to `to`. */
export const copy64 = native.copy64 as unknown as (to: number, from: number, count: number) => void;
/** A full memory fence (mfence, dmb sy): accesses before it complete before accesses after it. */
export const fence: () => void = native.fence;
