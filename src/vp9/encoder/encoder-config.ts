/** A stream's configuration, with WebCodecs' names where it has them. */

import { MILLISECONDS, type Rational } from "../../media/video.ts";
import { type PixelFormat, pixelFormatNames } from "../../pixels/pixel-format.ts";
import { type SettingName, type Settings, settingNames, settingValues } from "../contract/settings.ts";
import type { StreamSettings } from "../driver/stream-settings.ts";

/** Settings of a stream, for `configure`. A setting left out is the default. */
export interface EncoderConfig extends Settings {
  /**
   * There is no choice, but WebCodecs' callers give it: "vp9", or 8-bit profile 0 such as "vp09.00.10.08". The level is not
   * enforced.
   */
  readonly codec?: string | undefined;
  /** Pixels, 1 or more; any parity. */
  readonly width: number;
  readonly height: number;
  /** Size to show pictures at if their pixels are not square; goes into the decoder's config. Default: width and height. */
  readonly displayWidth?: number | undefined;
  readonly displayHeight?: number | undefined;
  /** Layout of the frames' bytes: planes packed, chroma rounded up. Default "i420". */
  readonly format?: PixelFormat | undefined;
  /** Frames per second, as a number or as a fraction such as { num: 30000, den: 1001 }. Default 30. */
  readonly framerate?: number | Rational | undefined;
  /**
   * Seconds per tick of the device's clock. Time stamps are rounded down to ticks, and rate control uses
   * them. Default 1/1000; one over the frame rate makes every frame last exactly one tick.
   */
  readonly timebase?: Rational | undefined;
  /** Default "variable". "quantizer" is libvpx's constrained quality, "constant-quality" has no target bitrate. */
  readonly bitrateMode?: "constant" | "variable" | "quantizer" | "constant-quality" | undefined;
  /** Target in bits per second; rounded to units of 1000. */
  readonly bitrate?: number | undefined;
  /** For "quantizer" and "constant-quality": 0, best, to 63. */
  readonly cqLevel?: number | undefined;
  /** Most frames from one key frame to the next. */
  readonly gop?: number | undefined;
  /** libvpx's cpu-used, -9 to 9; higher is faster. Default 8. */
  readonly speed?: number | undefined;
  /** Codec threads. Default 1. */
  readonly threads?: number | undefined;
  /**
   * Changes nothing: every frame is encoded without waiting for later ones, as "realtime" wants it, and the software model
   * drops none, as "quality" wants it. `speed` chooses between speed and quality.
   */
  readonly latencyMode?: "quality" | "realtime" | undefined;
  /** A hint, which changes nothing: `device` of openEncoder chooses a card or the software model. */
  readonly hardwareAcceleration?: "no-preference" | "prefer-hardware" | "prefer-software" | undefined;
  /** "keep" is not supported. */
  readonly alpha?: "discard" | "keep" | undefined;
  /** Temporal layers: "L1T1", the default, "L1T2" or "L1T3". The frames of the highest one can be left out. */
  readonly scalabilityMode?: string | undefined;
  /** A hint, which changes nothing. */
  readonly contentHint?: string | undefined;
}

/** Largest value of a 32-bit register; all ones mean the codec's default. */
const LARGEST = 0xffff_fffe;
const rateControls = {
  constant: "cbr",
  variable: "vbr",
  quantizer: "cq",
  "constant-quality": "q",
} as const;

const ownMembers: Readonly<Record<Exclude<keyof EncoderConfig, SettingName>, true>> = {
  codec: true,
  width: true,
  height: true,
  displayWidth: true,
  displayHeight: true,
  format: true,
  framerate: true,
  timebase: true,
  bitrateMode: true,
  bitrate: true,
  cqLevel: true,
  gop: true,
  speed: true,
  threads: true,
  latencyMode: true,
  hardwareAcceleration: true,
  alpha: true,
  scalabilityMode: true,
  contentHint: true,
};

/** Every member of a config. */
export const configMembers: Readonly<Record<keyof EncoderConfig, true>> = {
  ...ownMembers,
  ...(Object.fromEntries(settingNames.map((name) => [name, true])) as Record<SettingName, true>),
};

/**
 * Of a config that checkConfig passed. Throws RangeError for a value that no register can hold. The device itself
 * refuses other invalid values, by name.
 */
export function toStreamSettings(config: EncoderConfig): StreamSettings {
  const whole = (name: keyof EncoderConfig, low: number, high = LARGEST) => {
    const value = config[name];
    if (
      value !== undefined &&
      (typeof value !== "number" || !Number.isInteger(value) || value < low || value > high)
    ) {
      throw new RangeError(`${name} is ${String(value)}; it must be a whole number from ${low} to ${high}`);
    }
  };
  oneOf("format", config.format, pixelFormatNames);
  for (const name of ["width", "height", "threads"] as const) whole(name, 1);
  for (const name of ["bitrate", "cqLevel", "gop"] as const) whole(name, 0);
  whole("speed", -128, 127);
  return {
    width: config.width,
    height: config.height,
    format: config.format ?? "i420",
    fps: frameRate(config),
    timebase: fraction("timebase", config.timebase ?? MILLISECONDS),
    rateControl: rateControls[config.bitrateMode ?? "variable"],
    bitrateKbps: config.bitrate === undefined ? undefined : Math.round(config.bitrate / 1000),
    cqLevel: config.cqLevel,
    gop: config.gop,
    speed: config.speed ?? 8,
    threads: config.threads ?? 1,
    settings: settingValues(config),
    temporalLayers: temporalLayersOf(config.scalabilityMode ?? "L1T1") ?? 1,
  };
}

/** Throws TypeError if `given` has an unknown member, which would otherwise be ignored silently. */
export function refuseUnknown(what: string, given: object, known: Readonly<Record<string, true>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !Object.hasOwn(known, name)) {
      throw new TypeError(`${what}: unknown key ${name}; the keys are ${Object.keys(known).join(", ")}`);
    }
  }
}

/** Throws RangeError unless the value is one of the names, or absent: for callers without a type checker. */
export function oneOf(name: string, value: string | undefined, names: readonly string[]): void {
  if (value !== undefined && !names.includes(value)) {
    throw new RangeError(`${name} is "${value}"; it must be one of ${names.join(", ")}`);
  }
}

/** The frame rate as a fraction; a number with decimals keeps three of them. Throws RangeError. */
export function frameRate(config: Pick<EncoderConfig, "framerate">): Rational {
  const rate = config.framerate ?? 30;
  if (typeof rate !== "number") return fraction("framerate", rate);
  return fraction(
    "framerate",
    Number.isInteger(rate) ? { num: rate, den: 1 } : { num: Math.round(rate * 1000), den: 1000 },
  );
}

function fraction(name: keyof EncoderConfig, { num, den }: Rational): Rational {
  const fits = (value: number) => Number.isInteger(value) && value >= 1 && value <= LARGEST;
  if (!fits(num) || !fits(den)) {
    throw new RangeError(`${name} is ${num}/${den}; both must be whole numbers from 1 to ${LARGEST}`);
  }
  return { num, den };
}

/** The number of layers; undefined for a mode with spatial layers, or another mode that no device here has. */
export function temporalLayersOf(scalabilityMode: string): number | undefined {
  const index = ["L1T1", "L1T2", "L1T3"].indexOf(scalabilityMode);
  return index < 0 ? undefined : index + 1;
}
