/** Which configs are valid, and which of those are supported: WebCodecs' rules for VideoEncoderConfig. */
import type { PciDevice } from "../../device/device.ts";
import { deviceReady, openDevice } from "../../device/open.ts";
import { type PixelFormat, pixelFormats, profileOf, samplesOf } from "../../pixels/pixel-format.ts";
import { type DeviceLimits, isWithin, REFERENCE_LIMITS, readLimits } from "../driver/device-limits.ts";
import type { StreamSettings } from "../driver/stream-settings.ts";
import {
  configMembers,
  type EncoderConfig,
  refuseUnknown,
  temporalLayersOf,
  toStreamSettings,
} from "./encoder-config.ts";
import { notSupported } from "./exceptions.ts";

/** WebCodecs' VideoEncoderSupport. */
export interface EncoderSupport {
  readonly supported: boolean;
  /** A copy of the config. */
  readonly config: EncoderConfig;
}

/** VP9's levels, times ten. */
const LEVEL = "(1[01]|2[01]|3[01]|4[01]|5[012]|6[012])";
/** Profile, level, bits; subsampling and colour may follow ("VP Codec ISO Media File Format Binding", Codecs Parameter String). */
const CODEC = new RegExp(`^vp09\\.0([0-3])\\.${LEVEL}\\.(08|10|12)(?:\\.(0[0-3])(?:\\.\\d\\d){0,4})?$`);
const CHOICES = {
  bitrateMode: ["constant", "variable", "quantizer", "constant-quality"],
  latencyMode: ["quality", "realtime"],
  hardwareAcceleration: ["no-preference", "prefer-hardware", "prefer-software"],
  alpha: ["discard", "keep"],
} as const;
const LARGEST = 0xffff_ffff;

/** Throws TypeError unless the config is valid: WebCodecs' "valid VideoEncoderConfig", and without unknown keys. */
export function checkConfig(config: EncoderConfig): void {
  refuseUnknown("the encoder's config", config, configMembers);
  for (const name of ["codec", "scalabilityMode", "contentHint"] as const) {
    const value: unknown = config[name];
    if (value !== undefined && typeof value !== "string")
      throw new TypeError(`${name} is ${String(value)}; it must be a string`);
  }
  if (config.codec?.trim() === "") throw new TypeError('codec is ""; give "vp9", or leave it out');
  for (const name of ["width", "height", "displayWidth", "displayHeight"] as const) {
    const value = config[name];
    if (value === undefined && name.startsWith("display")) continue;
    if (!(Number.isInteger(value) && value! >= 1 && value! <= LARGEST))
      throw new TypeError(`${name} is ${value}; it must be a whole number from 1 to ${LARGEST}`);
  }
  const { bitrate, framerate } = config;
  if (bitrate !== undefined && !(Number.isSafeInteger(bitrate) && bitrate >= 0))
    throw new TypeError(`bitrate is ${bitrate}; it must be a whole number, 0 or more`);
  if (framerate !== undefined && typeof framerate !== "object" && !Number.isFinite(framerate))
    throw new TypeError(`framerate is ${framerate}; it must be a number`);
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = config[name as keyof typeof CHOICES];
    if (value !== undefined && !(choices as readonly string[]).includes(value))
      throw new TypeError(`${name} is "${value}"; it must be one of ${choices.join(", ")}`);
  }
}

/** Whether a codec string is VP9 with a format's profile, bits and subsampling. An unknown format is refused elsewhere. */
function isCodecOf(codec: string, format: PixelFormat): boolean {
  if (codec === "vp9" || !Object.hasOwn(pixelFormats, format)) return true;
  const { bits, chromaShift } = pixelFormats[format];
  const [x, y] = chromaShift;
  const named = y === 0 ? [x === 1 ? "02" : "03"] : x === 1 ? ["00", "01"] : [];
  const [, profile, , depth, subsampling] = CODEC.exec(codec) ?? [];
  const isNamed = subsampling === undefined || named.includes(subsampling);
  return Number(profile) === profileOf(format) && Number(depth) === bits && isNamed;
}

/** The settings of a valid config. Throws NotSupportedError, RangeError. */
export function settingsOf(config: EncoderConfig): StreamSettings {
  const { codec = "vp9", alpha = "discard", scalabilityMode = "L1T1" } = config;
  const { format = "i420" } = config;
  if (!isCodecOf(codec, format))
    throw notSupported(
      `codec is ${JSON.stringify(codec)}; the device encodes only VP9, ${samplesOf(format)}: leave codec out`,
    );
  if (alpha === "keep") throw notSupported('alpha is "keep"; the device encodes no alpha: leave it out');
  if (temporalLayersOf(scalabilityMode) === undefined)
    throw notSupported(
      `scalabilityMode is ${JSON.stringify(scalabilityMode)}; the device has L1T1, L1T2 and L1T3: leave it out`,
    );
  return toStreamSettings(config);
}

/** Whether a valid config is one for a device with these limits. */
export function supports(config: EncoderConfig, limits: DeviceLimits): boolean {
  let settings: StreamSettings;
  try {
    settings = settingsOf(config);
  } catch {
    return false;
  }
  return isWithin(settings, limits);
}

/** The limits of a device, which is opened for that and closed if it is a spec; the software model's if none is given. */
export function limitsOf(device: string | PciDevice | undefined): DeviceLimits {
  if (device === undefined) return REFERENCE_LIMITS;
  if (typeof device !== "string") return readLimits(device);
  using opened = openDevice(device);
  return readLimits(opened);
}

/** Encoder.isConfigSupported. */
export async function isConfigSupported(
  config: EncoderConfig,
  device: string | PciDevice | undefined,
): Promise<EncoderSupport> {
  checkConfig(config);
  if (typeof device === "string") await deviceReady(device);
  const supported = supports(config, limitsOf(device));
  const given = Object.entries(config).filter(([, value]) => value !== undefined);
  return { supported, config: structuredClone(Object.fromEntries(given)) as unknown as EncoderConfig };
}
