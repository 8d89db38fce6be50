/**
 * IVF, the container of libvpx's own tools. All little-endian. Header, 32 bytes: "DKIF", u16 version 0, u16 header size,
 * fourcc, u16 width, u16 height, u32 rate, u32 scale, u32 frame count, u32 unused. Then for each frame u32 size, u64
 * presentation time in units of scale/rate seconds, and the data.
 * Source: libvpx `ivfenc.c`, and the output of vpxenc 1.12, which this is byte for byte.
 */
import { MediaError } from "./media-error.ts";
import type { OutputFile } from "./output-file.ts";
import type { Packet, PacketWriter } from "./packet.ts";
import { type Rational, toTicks, type VideoFormat } from "./video.ts";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 12;

/** A file's header fields and packets; `pts` is in units of scale/rate seconds. */
export interface IvfFile {
  readonly fourcc: string;
  readonly width: number;
  readonly height: number;
  readonly rate: number;
  readonly scale: number;
  /** As the header has it: 0 when the writer could not go back to fill it in. */
  readonly frameCount: number;
  readonly packets: { readonly pts: number; readonly data: Uint8Array }[];
}

/**
 * Writes VP9 as IVF into a file just opened. The frame count is filled in at close; into a pipe it stays 0, as
 * vpxenc leaves it. Without packets the result is a valid, empty IVF.
 */
export async function ivfWriter(file: OutputFile, video: VideoFormat): Promise<PacketWriter> {
  await file.append(header(video, 0));
  return new IvfWriter(file, video);
}

class IvfWriter implements PacketWriter {
  readonly #file: OutputFile;
  readonly #video: VideoFormat;
  #count = 0;
  #failure: unknown;
  #closed = false;

  constructor(file: OutputFile, video: VideoFormat) {
    this.#file = file;
    this.#video = video;
  }

  get bytes(): number {
    return this.#file.size;
  }

  async write(packet: Packet): Promise<void> {
    if (this.#failure) throw this.#failure;
    try {
      await this.#file.append(frameHeader(packet, this.#video.timebase), packet.data);
      this.#count++;
    } catch (error) {
      this.#failure = error;
      await this.close().catch(() => {}); // the failed write is what gets reported
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#file.seekable) this.#file.patch(header(this.#video, this.#count), 0);
    } finally {
      this.#file.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function header({ width, height, timebase }: VideoFormat, frameCount: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  const bytes = new Uint8Array(view.buffer);
  bytes.set(new TextEncoder().encode("DKIF"), 0);
  view.setUint16(6, HEADER_BYTES, true);
  bytes.set(new TextEncoder().encode("VP90"), 8);
  view.setUint16(12, width, true);
  view.setUint16(14, height, true);
  view.setUint32(16, timebase.den, true);
  view.setUint32(20, timebase.num, true);
  view.setUint32(24, frameCount, true);
  return bytes;
}

function frameHeader(packet: Packet, timebase: Rational): Uint8Array {
  const view = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));
  view.setUint32(0, packet.data.length, true);
  view.setBigUint64(4, BigInt(toTicks(packet.timestampUs, timebase)), true);
  return new Uint8Array(view.buffer);
}

/**
 * Reads a whole IVF file; the packets are views into `bytes`.
 * @throws MediaError when it isn't IVF, or a length in it goes beyond its end
 */
export function readIvf(bytes: Uint8Array): IvfFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < HEADER_BYTES || text(0) !== "DKIF")
    throw new MediaError(
      `not an IVF file: ${bytes.length} bytes that begin with ${JSON.stringify(text(0))}, not a 32-byte header with "DKIF"`,
    );
  const headerBytes = view.getUint16(6, true);
  if (view.getUint16(4, true) !== 0 || headerBytes < HEADER_BYTES || headerBytes > bytes.length)
    throw new MediaError(
      `an IVF file of version ${view.getUint16(4, true)} with a header of ${headerBytes} bytes; version 0 with 32 is known`,
    );
  const packets: { pts: number; data: Uint8Array }[] = [];
  for (let at = headerBytes; at < bytes.length; ) {
    const start = at + FRAME_HEADER_BYTES;
    const end = start > bytes.length ? start : start + view.getUint32(at, true);
    if (end > bytes.length)
      throw new MediaError(
        `the IVF file ends inside frame ${packets.length} (counted from 0): it needs ${end} bytes, there are ${bytes.length}`,
      );
    const pts = Number(view.getBigUint64(at + 4, true));
    if (!Number.isSafeInteger(pts))
      throw new MediaError(`frame ${packets.length} of the IVF file has the absurd time stamp ${pts}`);
    packets.push({ pts, data: bytes.subarray(start, end) });
    at = end;
  }
  return {
    fourcc: text(8),
    width: view.getUint16(12, true),
    height: view.getUint16(14, true),
    rate: view.getUint32(16, true),
    scale: view.getUint32(20, true),
    frameCount: view.getUint32(24, true),
    packets,
  };
}
