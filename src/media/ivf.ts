/**
 * IVF, the container of libvpx's own tools. All little-endian. Header, 32 bytes: "DKIF", u16 version 0, u16
 * header size, fourcc, u16 width, u16 height, u32 rate, u32 scale, u32 frame count, u32 unused. Then for each
 * frame u32 size, u64 presentation time in units of scale/rate seconds, and the data.
 * Source: libvpx `ivfenc.c`. The output matches that of vpxenc 1.12 byte for byte.
 */
import type { OutputFile } from "./output-file.ts";
import type { Packet, PacketWriter } from "./packet.ts";
import { PacketFile } from "./packet-file.ts";
import { type Rational, toTicks, type VideoFormat } from "./video.ts";

export const IVF_MAGIC = "DKIF";
export const HEADER_BYTES = 32;
export const FRAME_HEADER_BYTES = 12;
/** Where the header has its own size (u16), the video's width (u16) and height (u16), and the frame count (u32). */
export const HEADER_FIELDS = { headerBytes: 6, width: 12, height: 14, frameCount: 24 } as const;

/**
 * Writes VP9 as IVF into a newly opened file. Closing fills in the frame count; in a pipe it stays 0, as with
 * vpxenc. Without packets the result is a valid, empty IVF.
 */
export async function ivfWriter(file: OutputFile, video: VideoFormat): Promise<PacketWriter> {
  await file.append(header(video, 0));
  let count = 0;
  return new PacketFile(file, {
    add: async (packet) => {
      await file.append(frameHeader(packet, video.timebase), packet.data);
      count++;
    },
    complete: () => {
      if (file.seekable) file.patch(header(video, count), 0);
    },
  });
}

function header({ width, height, timebase }: VideoFormat, frameCount: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  const bytes = new Uint8Array(view.buffer);
  bytes.set(new TextEncoder().encode(IVF_MAGIC), 0);
  view.setUint16(HEADER_FIELDS.headerBytes, HEADER_BYTES, true);
  bytes.set(new TextEncoder().encode("VP90"), 8);
  view.setUint16(HEADER_FIELDS.width, width, true);
  view.setUint16(HEADER_FIELDS.height, height, true);
  view.setUint32(16, timebase.den, true);
  view.setUint32(20, timebase.num, true);
  view.setUint32(HEADER_FIELDS.frameCount, frameCount, true);
  return bytes;
}

function frameHeader(packet: Packet, timebase: Rational): Uint8Array {
  const view = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));
  view.setUint32(0, packet.data.length, true);
  view.setBigUint64(4, BigInt(toTicks(packet.timestampUs, timebase)), true);
  return new Uint8Array(view.buffer);
}
