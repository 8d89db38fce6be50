import { framePlanes, type PixelFormat } from "../pixels/pixel-format.ts";
import type { ColorSpace } from "./color.ts";
import { MAX_ASPECT_TERM, MAX_RATE_TERM, MAX_SIDE } from "./limits.ts";
import { MediaError } from "./media-error.ts";

export { MediaError, type PixelFormat };

/** A positive fraction of two integers. */
export interface Rational {
  readonly num: number;
  readonly den: number;
}

/** A raw video's size in pixels, layout and frame rate. */
export interface VideoFormat {
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
  readonly fps: Rational;
  /**
   * Seconds per tick of the encoder's clock and of IVF's time stamps. As in vpxenc: a frame's duration, but
   * milliseconds if the user gave the frame rate. Rate control counts in ticks, so the time base affects the
   * packets.
   */
  readonly timebase: Rational;
  /** A pixel's width over its height, if the input gives one and it is not 1. */
  readonly pixelAspect?: Rational;
  /** Whether samples range from 0 to 255; false if they are known to be limited, 16 to 235. */
  readonly fullRange?: boolean;
  /** Absent if nothing is known of it. */
  readonly colorSpace?: ColorSpace;
}

/** The time base that vpxenc uses when it is told the frame rate. */
export const MILLISECONDS: Rational = { num: 1, den: 1000 };

/**
 * Converts a time to ticks: the last tick that begins within its microsecond, so that a rounded-down time
 * loses nothing.
 */
export function toTicks(timeUs: number, timebase: Rational): number {
  const scaled = BigInt(Math.floor(timeUs) + 1) * BigInt(timebase.den);
  const unit = BigInt(timebase.num) * 1_000_000n;
  return Number((scaled + unit - 1n) / unit) - 1;
}

/** Bytes of one frame, by default of i420; the chroma planes round up for odd sizes. */
export function frameSizeBytes(v: { width: number; height: number; format?: PixelFormat }): number {
  return framePlanes(v, v.format ?? "i420").sizeBytes;
}

/** Start of frame `index` (from 0) in microseconds, rounded down; exact for every rate and index. */
export function frameTimeUs(index: number, fps: Rational): number {
  return Number((BigInt(index) * 1_000_000n * BigInt(fps.den)) / BigInt(fps.num));
}

/** Throws MediaError unless this toolkit accepts `size`; `where` says who gave it. */
export function checkSize(size: { width: number; height: number }, where: string): void {
  for (const [side, value] of [
    ["width", size.width],
    ["height", size.height],
  ] as const) {
    if (!Number.isInteger(value) || value < 1 || value > MAX_SIDE)
      throw new MediaError(
        `${where}: the ${side} is ${value}; it must be a whole number from 1 to ${MAX_SIDE}`,
      );
  }
}

/** Throws MediaError for a pixel aspect that can't be; `where` says who gave it. */
export function checkPixelAspect({ num, den }: Rational, where: string): void {
  for (const value of [num, den]) {
    if (!Number.isInteger(value) || value < 1 || value > MAX_ASPECT_TERM)
      throw new MediaError(
        `${where}: the pixel aspect is ${num}:${den}; both must be whole numbers from 1 to ${MAX_ASPECT_TERM}`,
      );
  }
}

/**
 * Throws MediaError for a frame rate that libvpx or a microsecond clock can't represent; `where` says who
 * gave it.
 */
export function checkFps({ num, den }: Rational, where: string): void {
  for (const value of [num, den]) {
    if (!Number.isInteger(value) || value < 1 || value > MAX_RATE_TERM)
      throw new MediaError(
        `${where}: the frame rate is ${num}/${den}; both must be whole numbers from 1 to ${MAX_RATE_TERM}`,
      );
  }
  if (num > 1_000_000 * den || den > 1_000_000 * num)
    throw new MediaError(
      `${where}: the frame rate is ${num}/${den}; a frame can last from a microsecond to a million seconds`,
    );
}
