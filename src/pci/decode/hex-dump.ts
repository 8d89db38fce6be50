/** Configuration space in files: as `lspci -x` prints it (also -xxx and -xxxx, of several functions), or the bytes themselves. */
import { CONFIG_BYTES } from "../config.ts";

interface DumpedFunction {
  /** As the dump has it; undefined for bytes without one. */
  readonly address: string | undefined;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A dump that can't be read: which line, and why. */
export class DumpError extends Error {
  override readonly name = "DumpError";
}

const FUNCTION_LINE = /^((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) /i;
const BYTES_LINE = /^([0-9a-f]{2,8}): ((?:[0-9a-f]{2} ?)+)$/i;
/** Sizes that configuration space has as raw bytes: PCI's header, PCI, PCI Express. */
const RAW_SIZES: readonly number[] = [64, 256, CONFIG_BYTES];

/**
 * Functions of a dump, in its order. Lines of text between them, such as `lspci -vvxxxx` has, are skipped; bytes that a
 * dump leaves out in between are ones, as of a device that does not answer. Throws DumpError.
 */
export function readDump(file: Uint8Array<ArrayBuffer>): DumpedFunction[] {
  // A vendor id's bytes are seldom two hexadecimal digits and a colon; a dump always has them.
  const text = new TextDecoder("latin1").decode(file);
  const functions = parseDump(text);
  if (functions.length > 0) return functions;
  if (RAW_SIZES.includes(file.byteLength)) return [{ address: undefined, bytes: file }];
  throw new DumpError(
    `no configuration space in it: neither a dump as lspci -xxxx prints it nor ${RAW_SIZES.join(", ")} raw bytes, but ${file.byteLength}`,
  );
}

function parseDump(text: string): DumpedFunction[] {
  const functions: { address: string | undefined; bytes: Uint8Array<ArrayBuffer> }[] = [];
  let open = false;
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const address = FUNCTION_LINE.exec(line)?.[1];
    const row = BYTES_LINE.exec(line.trimEnd());
    if (address !== undefined) functions.push({ address, bytes: new Uint8Array(0) });
    if (row && !open && address === undefined && functions.at(-1)?.bytes.byteLength !== 0)
      functions.push({ address: undefined, bytes: new Uint8Array(0) });
    if (address !== undefined || row) open = true;
    if (line === "") open = false;
    if (!row) continue;
    const current = functions.at(-1)!;
    const offset = Number.parseInt(row[1]!, 16);
    const octets = row[2]!.trim().split(" ");
    if (offset + octets.length > CONFIG_BYTES)
      throw new DumpError(
        `line ${i + 1}: bytes at 0x${row[1]} lie beyond the ${CONFIG_BYTES} of configuration space`,
      );
    const bytes = new Uint8Array(Math.max(current.bytes.byteLength, offset + octets.length)).fill(0xff);
    bytes.set(current.bytes);
    for (const [at, octet] of octets.entries()) bytes[offset + at] = Number.parseInt(octet, 16);
    current.bytes = bytes;
  }
  const dumped = functions.filter((each) => each.bytes.byteLength > 0);
  const short = dumped.find((each) => each.bytes.byteLength < 64);
  if (short)
    throw new DumpError(
      `${short.address ?? "the dump"}: ${short.bytes.byteLength} bytes; a header has 64 (lspci -x, better lspci -xxxx as root)`,
    );
  return dumped;
}
