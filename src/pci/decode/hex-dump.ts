/**
 * Reads configuration space from files: the output of `lspci -x` (also -xxx and -xxxx, of several functions),
 * `hexdump -C`, `xxd -g 1` and `od -A x -t x1`, indented or not, or raw bytes.
 */
import { CONFIG_BYTES } from "../config-offsets.ts";
import { MAX_DUMP_BYTES } from "../limits.ts";

/** One function of a dump. */
export interface DumpedFunction {
  /** As in the dump; undefined if it has none. */
  readonly address: string | undefined;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A dump that can't be read: which line, and why. */
export class DumpError extends Error {
  override readonly name = "DumpError";
}

const HEADER_BYTES = 64;
/**
 * Raw dumps are multiples of this: 64 for the header, 256 for PCI, 4096 for PCI Express, or a part of those.
 */
const RAW_STEP = 64;

const FUNCTION_LINE = /^\s*((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?:\s|$)/i;
/** An offset, then bytes up to the end of the line or to their text, which follows a | or 16 bytes. */
const BYTES_LINE =
  /^(\s*)(?:([0-9a-f]{2,8}):|([0-9a-f]{6,8})(?=\s))((?:\s{1,2}[0-9a-f]{2})+?)(?:$|\s+\||(?<=(?:\s{1,2}[0-9a-f]{2}){16})\s{2})/i;
/** hexdump and od: a * for more rows like the last one, and the end offset. */
const REPEAT_LINE = /^\s*\*$/;
const END_LINE = /^\s*([0-9a-f]{6,8})$/i;
const PRINTABLE = /^[\t\n\r\x20-\x7e]*$/;

/**
 * Functions of a dump, in its order. Text between them, as in `lspci -vvxxxx`, is skipped. Bytes that a dump
 * omits become ones, as if the device did not answer. Throws DumpError.
 */
export function readDump(file: Uint8Array<ArrayBuffer>): DumpedFunction[] {
  if (file.byteLength > MAX_DUMP_BYTES)
    throw new DumpError(`it has more than ${MAX_DUMP_BYTES} bytes, which would be 4096 functions; split it`);
  // Dumps are tried first: raw configuration space hardly ever looks like one.
  const text = new TextDecoder("latin1").decode(file);
  const functions = parseDump(text);
  if (functions.length > 0) return functions;
  const { byteLength } = file;
  const fits = byteLength >= HEADER_BYTES && byteLength <= CONFIG_BYTES && byteLength % RAW_STEP === 0;
  if (fits && !PRINTABLE.test(text)) return [{ address: undefined, bytes: file }];
  throw new DumpError(
    `no configuration space in it: expected a dump from lspci -xxxx or hexdump -C, or ${HEADER_BYTES} to ${CONFIG_BYTES} raw bytes in steps of ${RAW_STEP}; it has ${byteLength} bytes`,
  );
}

/** A function whose rows are being read. */
interface OpenFunction {
  readonly address: string | undefined;
  bytes: Uint8Array<ArrayBuffer>;
  /** The indentation of its rows; lines with another one are text. */
  indentation?: string;
  /** Size of the last row, which a * repeats. */
  rowBytes: number;
  repeats: boolean;
}

function parseDump(text: string): DumpedFunction[] {
  const functions: OpenFunction[] = [];
  const begin = (address?: string): OpenFunction => {
    const opened = { address, bytes: new Uint8Array(0), rowBytes: 0, repeats: false };
    functions.push(opened);
    return opened;
  };
  let current: OpenFunction | undefined;
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trimEnd();
    const address = FUNCTION_LINE.exec(line)?.[1];
    const row = BYTES_LINE.exec(line);
    const checked = (offset: string, sizeBytes: number) => {
      const start = Number.parseInt(offset, 16);
      if (start + sizeBytes <= CONFIG_BYTES) return start;
      throw new DumpError(
        `line ${i + 1}: bytes at 0x${offset} lie beyond the ${CONFIG_BYTES} of configuration space`,
      );
    };
    if (address !== undefined) current = begin(address);
    else if (line === "") current = undefined;
    else if (row) {
      const [, indentation = "", colon, plain, octets = ""] = row;
      const bytes = Uint8Array.from(octets.trim().split(/\s+/), (octet) => Number.parseInt(octet, 16));
      const offset = colon ?? plain!;
      if (Number.parseInt(offset, 16) === 0) {
        if (!current || current.bytes.byteLength > 0) current = begin();
        current.indentation = indentation;
      }
      if (current?.indentation !== indentation) continue;
      place(current, checked(offset, bytes.byteLength), bytes);
    } else if (current && REPEAT_LINE.test(line)) current.repeats = current.rowBytes > 0;
    else if (current?.repeats) {
      const end = END_LINE.exec(line)?.[1];
      if (end !== undefined) place(current, checked(end, 0), new Uint8Array(0));
    }
  }
  const dumped = functions.filter((each) => each.bytes.byteLength > 0);
  const short = dumped.find((each) => each.bytes.byteLength < HEADER_BYTES);
  if (short)
    throw new DumpError(
      `${short.address ?? "the dump"}: ${short.bytes.byteLength} bytes; a header has ${HEADER_BYTES} (lspci -x, better lspci -xxxx as root)`,
    );
  return dumped.map(({ address, bytes }) => ({ address, bytes }));
}

/** Puts a row's bytes at their offset. Repeated rows, after a *, or ones fill a gap before them. */
function place(into: OpenFunction, offset: number, row: Uint8Array): void {
  const { bytes: earlier, rowBytes, repeats } = into;
  const bytes = new Uint8Array(Math.max(earlier.byteLength, offset + row.byteLength)).fill(0xff);
  bytes.set(earlier);
  for (let at = earlier.byteLength; repeats && at < offset; at++) bytes[at] = bytes[at - rowBytes]!;
  bytes.set(row, offset);
  into.bytes = bytes;
  into.rowBytes = row.byteLength;
  into.repeats = false;
}
