/** Which streams an endpoint can take, as far as its registers say so before one is set up. */
import type { PciDevice } from "../../device/device.ts";
import { openRegisters } from "../../registers/access.ts";
import { unpackFields } from "../../registers/fields.ts";
import type { Register } from "../../registers/table.ts";
import { MAGIC, registers } from "../contract/registers.ts";
import { settingNames, settings as settingTable } from "../contract/settings.ts";
import { formatCapabilities } from "./capabilities.ts";
import { EncoderError } from "./failure.ts";
import type { StreamSettings } from "./stream-settings.ts";

/** CAPS and MAX_SIZE, decoded. */
export interface DeviceLimits {
  readonly caps: Readonly<Record<keyof typeof registers.CAPS.fields, number>>;
  readonly maxSize: Readonly<Record<keyof typeof registers.MAX_SIZE.fields, number>>;
}

/** The limits of the software model, and of every card that does not say otherwise. */
export const REFERENCE_LIMITS: DeviceLimits = {
  caps: unpackFields(registers.CAPS, registers.CAPS.reset),
  maxSize: unpackFields(registers.MAX_SIZE, registers.MAX_SIZE.reset),
};

/** Reads a device's limits; a stream that runs on it goes on. Throws EncoderError, DeviceError. */
export function readLimits(device: PciDevice): DeviceLimits {
  const bar = device.bars[0];
  const io = bar?.sizeBytes ? openRegisters(registers, bar) : undefined;
  if (io?.MAGIC.read() !== MAGIC)
    throw new EncoderError(`${device.spec}: this is not the VP9 encoder, or it has gone away`);
  return { caps: io.CAPS.readFields(), maxSize: io.MAX_SIZE.readFields() };
}

/** Whether an endpoint with these limits takes the settings. Its codec may still refuse them. */
export function isWithin(settings: StreamSettings, { caps, maxSize }: DeviceLimits): boolean {
  const { width, height, format, rateControl, fps, timebase } = settings;
  const given = settingNames.filter((name) => settings.settings[name] !== undefined);
  const ranged: readonly (readonly [Register, number | undefined])[] = [
    [registers.FPS_NUM, fps.num],
    [registers.FPS_DEN, fps.den],
    [registers.TIMEBASE_NUM, timebase.num],
    [registers.TIMEBASE_DEN, timebase.den],
    [registers.BITRATE, settings.bitrateKbps],
    [registers.CQ_LEVEL, settings.cqLevel],
    [registers.GOP, settings.gop],
    [registers.SPEED, settings.speed],
    [registers.THREADS, settings.threads],
    ...given.map((name) => [registers[settingTable[name].register], settings.settings[name]] as const),
  ];
  const inRange = ([{ range }, value]: (typeof ranged)[number]) =>
    !range || value === undefined || (value >= range[0] && value <= range[1]);
  return (
    width <= maxSize.WIDTH &&
    height <= maxSize.HEIGHT &&
    caps[format === "nv12" ? "NV12" : "I420"] === 1 &&
    formatCapabilities(format).every((capability) => caps[capability] === 1) &&
    caps[({ vbr: "VBR", cbr: "CBR", cq: "CQ", q: "Q" } as const)[rateControl]] === 1 &&
    (given.length === 0 || caps.SETTINGS === 1) &&
    (settings.temporalLayers === 1 || caps.TEMPORAL_LAYERS === 1) &&
    ranged.every(inRange)
  );
}
