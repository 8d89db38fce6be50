import { toArrayBuffer } from "bun:ffi";
import { pointer } from "../../os/libc.ts";
import { framePlanes } from "../../pixels/pixel-format.ts";
import { CodecError, type CodecFrame, type CodecSettings } from "./engine.ts";

/** Where a packed frame's planes lie, in bytes from its start. */
export interface FrameLayout {
  /** Y, U and V; or Y and interleaved UV for nv12. */
  readonly planes: ReadonlyArray<{ readonly offset: number; readonly stride: number }>;
  readonly sizeBytes: number;
}

/** The layout that {@link CodecSettings} describes. */
export function frameLayout({ codedWidth, codedHeight, format }: CodecSettings): FrameLayout {
  return framePlanes({ width: codedWidth, height: codedHeight }, format);
}

/**
 * Checks what the engines themselves don't: that sizes are in range and that the picture lies inside its buffer.
 *
 * @throws {CodecError} naming the field
 */
export function checkSettings(settings: CodecSettings): void {
  const inRange = (field: keyof CodecSettings, low: number, high: number) => {
    const value = settings[field];
    if (value === null) return;
    if (!Number.isInteger(value) || Number(value) < low || Number(value) > high) {
      throw new CodecError(`${field} is ${value}: must be a whole number from ${low} to ${high}`);
    }
  };
  inRange("width", 1, 16384);
  inRange("height", 1, 16384);
  inRange("codedWidth", settings.width, 65535);
  inRange("codedHeight", settings.height, 65535);
  inRange("bitrateKbps", 1, 2_000_000);
  inRange("cqLevel", 0, 63);
  inRange("gopFrames", 0, 0x7fff_ffff);
  inRange("speed", -9, 9);
  inRange("threads", 1, 64);
  for (const field of ["timebase", "fps"] as const) {
    const { num, den } = settings[field];
    if (!Number.isInteger(num) || !Number.isInteger(den) || num < 1 || den < 1) {
      throw new CodecError(`${field} is ${num}/${den}: must be a fraction of positive whole numbers`);
    }
  }
}

/** @throws {CodecError} when the frame's memory is smaller than its layout, so that no engine reads past its end */
export function checkFrame({ address, sizeBytes }: CodecFrame, layout: FrameLayout): void {
  if (address === 0 || sizeBytes < layout.sizeBytes) {
    throw new CodecError(
      `frame of ${sizeBytes} bytes at 0x${address.toString(16)}: its layout needs ${layout.sizeBytes} bytes`,
    );
  }
}

/** Number of views kept: frames come from a few buffers again and again. */
const keptViews = 64;

/**
 * Returns a function that gives the bytes of a frame in place. A view is valid as long as the frame's memory
 * is mapped. Views of the last {@link keptViews} addresses are kept.
 */
export function frameViews(sizeBytes: number): (address: number) => Uint8Array<ArrayBuffer> {
  const views = new Map<number, Uint8Array<ArrayBuffer>>();
  return (address) => {
    let view = views.get(address);
    if (view === undefined) {
      for (const oldest of views.keys()) {
        if (views.size < keptViews) break;
        views.delete(oldest);
      }
      view = new Uint8Array(toArrayBuffer(pointer(address), 0, sizeBytes));
      views.set(address, view);
    }
    return view;
  };
}
