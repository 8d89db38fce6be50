/** Reads IVF, for the tests: src/media/ivf.ts says what it is. */
import { MediaError } from "../../src/media/media-error.ts";

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
