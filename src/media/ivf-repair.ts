/**
 * Completes an IVF whose writer was killed: its header still says 0 frames, because the count is written last, and its last
 * frame may be cut. ivf.ts has the format.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from "node:fs";
import { FRAME_HEADER_BYTES, HEADER_BYTES, HEADER_FIELDS, IVF_MAGIC } from "./ivf.ts";
import { ioError, MediaError, quoted } from "./media-error.ts";

/** What an IVF holds. */
export interface IvfExtent {
  /** Frames that are there from their first byte to their last. */
  readonly frames: number;
  /** Frames according to the header. */
  readonly headerFrames: number;
  /** Bytes of the header and the whole frames. */
  readonly wholeBytes: number;
  /** Bytes after them: of a frame that is cut, or the zeros that a crash of the machine leaves. */
  readonly cutBytes: number;
}

/** No encoder writes more for a pixel: raw 4:4:4 of 12 bits is 6 bytes. Beside that, room for a frame's own headers. */
const MOST_BYTES_PER_PIXEL = 12;
const MOST_OTHER_BYTES = 64 * 1024;
/** How much of what would be cut is searched for whole frames. */
const SEARCHED_BYTES = 64 * 1024 * 1024;
const EBML_MAGIC = 0x1a45dfa3;

/** Whether the header has the right count and nothing follows the last frame. */
export function isWhole({ frames, headerFrames, cutBytes }: IvfExtent): boolean {
  return frames === headerFrames && cutBytes === 0;
}

/**
 * Reads the frames' headers of an IVF, and changes nothing.
 * @throws MediaError if it can't be read, is no regular file or no IVF, or is damaged elsewhere than at its end, so that
 *   cutting it could lose whole frames
 */
export function examineIvf(path: string): IvfExtent {
  using file = openRegular(path, constants.O_RDONLY);
  return examine(file);
}

/** The same of an IVF whose header has no frames yet. Undefined for a finished one, of which only the header is read. */
export function examineUnfinishedIvf(path: string): IvfExtent | undefined {
  using file = openRegular(path, constants.O_RDONLY);
  const header = bytesAt(file, 0, HEADER_BYTES);
  const isFinished = header.length === HEADER_BYTES && header.readUInt32LE(HEADER_FIELDS.frameCount) !== 0;
  return isFinished ? undefined : examine(file);
}

/**
 * Cuts off what is no whole frame and writes the frame count, in place. Killed in between, it can be repeated.
 * @param extent what examineIvf found
 * @throws MediaError if the file can't be written, or has another size than then
 */
export function completeIvf(path: string, { frames, wholeBytes, cutBytes }: IvfExtent): void {
  using file = openRegular(path, constants.O_RDWR);
  try {
    if (file.sizeBytes !== wholeBytes + cutBytes)
      throw new MediaError(
        `${file.name} has ${file.sizeBytes} bytes now, not ${wholeBytes + cutBytes}: another program writes to it. Nothing was changed`,
      );
    const count = new DataView(new ArrayBuffer(4));
    count.setUint32(0, frames, true);
    if (cutBytes > 0) ftruncateSync(file.fd, wholeBytes);
    writeSync(file.fd, new Uint8Array(count.buffer), 0, count.byteLength, HEADER_FIELDS.frameCount);
    fsyncSync(file.fd);
  } catch (error) {
    throw error instanceof MediaError ? error : ioError(`write ${file.name}`, error);
  }
}

interface RegularFile extends Disposable {
  readonly fd: number;
  /** For messages. */
  readonly name: string;
  readonly sizeBytes: number;
}

function openRegular(path: string, flags: number): RegularFile {
  const name = quoted(path);
  let fd: number | undefined;
  try {
    // Not opened to find out: opening a FIFO waits, and opening a device may do something.
    if (statSync(path).isFile()) fd = openSync(path, flags | constants.O_NONBLOCK);
    const stat = fd === undefined ? undefined : fstatSync(fd);
    if (fd !== undefined && stat?.isFile()) {
      const opened = fd;
      return { fd, name, sizeBytes: stat.size, [Symbol.dispose]: () => closeSync(opened) };
    }
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw ioError(`open ${name}`, error);
  }
  if (fd !== undefined) closeSync(fd);
  throw new MediaError(`${name} is not a regular file: there is nothing to repair in it`);
}

function examine(file: RegularFile): IvfExtent {
  const { name, sizeBytes } = file;
  const header = bytesAt(file, 0, HEADER_BYTES);
  const isIvf = header.toString("latin1", 0, IVF_MAGIC.length) === IVF_MAGIC;
  if (header.length >= 4 && header.readUInt32BE(0) === EBML_MAGIC)
    throw new MediaError(
      `${name} is a WebM, which needs no repair: one that was not finished can be played up to its last whole frame`,
    );
  if (!isIvf)
    throw new MediaError(
      `${name} is not an IVF file: it ${header.length === 0 ? "is empty" : `begins with ${quoted(header.toString("latin1", 0, IVF_MAGIC.length))}, not "${IVF_MAGIC}"`}`,
    );
  const headerBytes = header.length < HEADER_BYTES ? 0 : header.readUInt16LE(HEADER_FIELDS.headerBytes);
  if (headerBytes < HEADER_BYTES || headerBytes > sizeBytes)
    throw new MediaError(
      `${name} has no whole IVF header: ${header.length < HEADER_BYTES ? `it ends after ${sizeBytes} bytes` : `${headerBytes} bytes are said to be it`}. No frame can be found in it`,
    );
  const pixels = header.readUInt16LE(HEADER_FIELDS.width) * header.readUInt16LE(HEADER_FIELDS.height);
  const mostBytes = pixels * MOST_BYTES_PER_PIXEL + MOST_OTHER_BYTES;

  let frames = 0;
  let at = headerBytes;
  let time = 0n;
  for (; at < sizeBytes; frames++) {
    const frame = readFrameHeader(bytesAt(file, at, FRAME_HEADER_BYTES), 0, time, mostBytes);
    if (frame === undefined || frame.endBytes > sizeBytes - at) break;
    at += frame.endBytes;
    time = frame.time;
  }
  if (!isCutFrame(file, at, time, mostBytes))
    throw new MediaError(
      `${name} is damaged at byte ${at}, after ${frames} whole frames: what is there is not the end of a file that was cut, and frames may follow it. Nothing was changed`,
    );
  const headerFrames = header.readUInt32LE(HEADER_FIELDS.frameCount);
  return { frames, headerFrames, wholeBytes: at, cutBytes: sizeBytes - at };
}

/**
 * A frame's time stamp, and the bytes from its header to its end. Undefined if the header can't be one: time stamps never
 * decrease, a frame of no bytes is not written, and a size has bounds.
 */
function readFrameHeader(bytes: Buffer, at: number, after: bigint, mostBytes: number) {
  if (bytes.length - at < FRAME_HEADER_BYTES) return undefined;
  const sizeBytes = bytes.readUInt32LE(at);
  const time = bytes.readBigUInt64LE(at + 4);
  if (time < after || time > Number.MAX_SAFE_INTEGER || sizeBytes > mostBytes) return undefined;
  return sizeBytes === 0 && time === after ? undefined : { time, endBytes: FRAME_HEADER_BYTES + sizeBytes };
}

/** Whether a file's rest is what a killed writer or machine leaves, and no frame is whole in it. */
function isCutFrame(file: RegularFile, at: number, time: bigint, mostBytes: number): boolean {
  const rest = bytesAt(file, at, Math.min(file.sizeBytes - at, SEARCHED_BYTES));
  if (rest.length < FRAME_HEADER_BYTES || isZero(file, at)) return true;
  return (
    readFrameHeader(rest, 0, time, mostBytes) !== undefined &&
    !holdsFrames(rest, file.sizeBytes - at, time, mostBytes)
  );
}

/** Whether a whole frame, and the next one or the end, follow somewhere: then the size before them is damaged. */
function holdsFrames(rest: Buffer, restBytes: number, time: bigint, mostBytes: number): boolean {
  for (let at = 1; at <= rest.length - FRAME_HEADER_BYTES; at++) {
    // The upper half of a time stamp: 0 unless the video is a year long, and rarely 0 in coded data.
    if (rest.readUInt32LE(at + 8) !== 0) continue;
    const frame = readFrameHeader(rest, at, time + 1n, mostBytes);
    if (frame === undefined || frame.endBytes === FRAME_HEADER_BYTES) continue;
    const end = at + frame.endBytes;
    if (end === restBytes || readFrameHeader(rest, end, frame.time, mostBytes)) return true;
  }
  return false;
}

function isZero(file: RegularFile, from: number): boolean {
  for (let at = from; at < file.sizeBytes; ) {
    const bytes = bytesAt(file, at, Math.min(file.sizeBytes - at, 1024 * 1024));
    if (bytes.length === 0 || bytes.some((byte) => byte !== 0)) return false;
    at += bytes.length;
  }
  return true;
}

/** Fewer bytes than asked for only at the file's end. */
function bytesAt({ fd, name }: RegularFile, position: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  let got = 0;
  try {
    while (got < count) {
      const more = readSync(fd, bytes, got, count - got, position + got);
      if (more === 0) break;
      got += more;
    }
  } catch (error) {
    throw ioError(`read ${name} at byte ${position + got}`, error);
  }
  return bytes.subarray(0, got);
}
