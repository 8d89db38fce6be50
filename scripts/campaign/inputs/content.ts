/** The bytes of an input, and what encode.ts must make of them: a reader of y4m and raw video that is not the product's. */
import { type InputCase, LONG, type RawCase, rawFormats, type Y4mCase, y4mColors } from "./case.ts";

type RawFormat = keyof typeof rawFormats;

/** What an input is, as far as it can be read. */
export interface Reading {
  /** Whole frames before its end or its first fault, as the device is given them. */
  readonly frames: readonly Uint8Array[];
  /** Whether it ends after them. */
  readonly whole: boolean;
  /** Whether the device takes frames of this size; false only if the header is in order. */
  readonly fits: boolean;
}

export interface Content {
  readonly bytes: Buffer;
  /** Options that say what it is. */
  readonly options: readonly string[];
  /** Whether encode.ts takes the options. */
  readonly usable: boolean;
  /** How it is read if it is these bytes. */
  reading(bytes: Buffer): Reading;
  /** Bytes before the first frame. */
  readonly headerBytes: number;
}

const LINE_LIMIT = 4096;
/** Of an input: a long one of large frames has fewer of them. */
const MOST_BYTES = 16 * 1024 * 1024;
/** The model's. */
const MOST_SIDE = 4096;
/** Of frame lines: they are read byte by byte. */
const MOST_LINE_BYTES = 64 * 1024;
const NOTHING: Reading = { frames: [], whole: false, fits: true };

export function makeContent(one: InputCase): Content {
  const { content, cutBytes, surplusBytes } = one;
  const made = content.kind === "y4m" ? makeY4m(content, framesOf(one)) : makeRaw(content, framesOf(one));
  const bytes = Buffer.concat([
    made.bytes.subarray(0, Math.max(0, made.bytes.length - cutBytes)),
    Buffer.alloc(surplusBytes, 0xaa),
  ]);
  return { ...made, bytes };
}

/** A file that changes while it is read must be long. */
function framesOf({ frames, from }: InputCase): number {
  return from === "growing file" || from === "shrinking file" ? LONG : frames;
}

/** Different ones, in each pair of bytes a sample of 10 bits; fewer if they are large. */
function pictures(sizeBytes: number, count: number): Buffer[] {
  return Array.from({ length: Math.min(count, Math.ceil(MOST_BYTES / sizeBytes)) }, (_, index) => {
    const frame = Buffer.alloc(sizeBytes, index & 3);
    frame.writeUInt8((index >> 2) & 3, Math.floor(sizeBytes / 2));
    frame.writeUInt8((index >> 4) & 3, sizeBytes - 1);
    return frame;
  });
}

function makeY4m(one: Y4mCase, frames: number): Content {
  const { magic, width, height, rate, color, interlacing, aspect, extra, frameLine, wrongFrame } = one;
  const words = [width, height, rate, color, interlacing, aspect, extra].filter(({ text }) => text !== "");
  const header = Buffer.from(`${[magic, ...words].map(({ text }) => text).join(" ")}\n`, "latin1");
  const format = y4mColors[color.text] ?? "i420";
  const size = {
    width: width.fine ? Number(width.text.slice(1)) : 16,
    height: height.fine ? Number(height.text.slice(1)) : 16,
  };
  const sizeBytes = rawFormats[format](size.width, size.height);
  const lines = Math.floor(MOST_LINE_BYTES / frameLine.text.length);
  const parts = pictures(sizeBytes, Math.min(frames, lines)).map((picture, index) => [
    Buffer.from(`${index === wrongFrame ? "WRONG" : frameLine.text}\n`),
    picture,
  ]);
  // Without sizes an empty word list still is a header; any of the bad words makes it unusable.
  const isFine = [magic, width, height, rate, color, interlacing, aspect, extra].every(({ fine }) => fine);
  const reading = (bytes: Buffer): Reading => {
    if (!isFine || bytes.length < header.length) return NOTHING;
    const fits = size.width <= MOST_SIDE && size.height <= MOST_SIDE;
    const read: Uint8Array[] = [];
    let at = header.length;
    for (;;) {
      if (at === bytes.length) return { frames: read, whole: read.length > 0, fits };
      const lineEnd = bytes.subarray(at, at + LINE_LIMIT).indexOf(10);
      const line = bytes.toString("latin1", at, at + Math.max(0, lineEnd));
      const start = at + lineEnd + 1;
      if (lineEnd < 0 || !/^FRAME( |$)/.test(line) || start + sizeBytes > bytes.length)
        return { frames: read, whole: false, fits };
      read.push(asGiven(bytes.subarray(start, start + sizeBytes), format, size));
      at = start + sizeBytes;
    }
  };
  return {
    bytes: Buffer.concat([header, ...parts.flat()]),
    options: [],
    usable: true,
    reading,
    headerBytes: header.length,
  };
}

function makeRaw({ width, height, format, said }: RawCase, frames: number): Content {
  const size = { width, height: said === "higher" ? height + 1 : height };
  const sizeBytes = rawFormats[format](size.width, size.height);
  const parts = pictures(rawFormats[format](width, height), frames);
  const value = said === "right" || said === "higher" ? `${size.width}x${size.height}` : said;
  const reading = (bytes: Buffer): Reading => {
    if (said === "nothing") return NOTHING;
    const count = Math.floor(bytes.length / sizeBytes);
    const read = Array.from({ length: count }, (_, index) =>
      asGiven(bytes.subarray(index * sizeBytes, (index + 1) * sizeBytes), format, size),
    );
    return { frames: read, whole: count > 0 && count * sizeBytes === bytes.length, fits: true };
  };
  return {
    bytes: Buffer.concat(parts),
    options: said === "nothing" ? [] : ["--size", value, "--format", format],
    usable: ["right", "nothing", "higher"].includes(said),
    reading,
    headerBytes: 0,
  };
}

/** A frame of the file as the device gets it. */
function asGiven(
  frame: Buffer,
  format: RawFormat,
  { width, height }: { width: number; height: number },
): Uint8Array {
  const luma = width * height;
  const chroma = Math.ceil(width / 2) * Math.ceil(height / 2);
  if (format === "mono") return Buffer.concat([frame, Buffer.alloc(2 * chroma, 128)]);
  if (format !== "yv12") return frame;
  return Buffer.concat([
    frame.subarray(0, luma),
    frame.subarray(luma + chroma),
    frame.subarray(luma, luma + chroma),
  ]);
}

/** The null codec's packet of a frame: "NULL", the CRC-32 of the frame, its index and its size. */
export function nullPacket(frame: Uint8Array, index: number): Uint8Array {
  const packet = Buffer.from("NULL            ");
  packet.writeUInt32LE(Bun.hash.crc32(frame), 4);
  packet.writeUInt32LE(index, 8);
  packet.writeUInt32LE(frame.length, 12);
  return packet;
}
