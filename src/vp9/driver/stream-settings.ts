/** A stream's settings in the endpoint's registers. */

import type { PixelFormat } from "../../pixels/pixel-format.ts";
import type { Registers } from "../../registers/access.ts";
import { packFields } from "../../registers/fields.ts";
import { DEFAULT, INTERFACE_MAJOR, registers, SETTINGS_MINOR } from "../contract/registers.ts";
import { type SettingValues, settingNames, settings as settingTable } from "../contract/settings.ts";
import { formatCapabilities } from "./capabilities.ts";
import { EncoderError } from "./failure.ts";

export type EndpointRegisters = Registers<typeof registers>;
type Capability = keyof typeof registers.CAPS.fields;

/** A stream's settings. An absent one means the codec's own default. */
export interface StreamSettings {
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
  readonly fps: { readonly num: number; readonly den: number };
  /** Seconds in a tick, the unit of time stamps. */
  readonly timebase: { readonly num: number; readonly den: number };
  readonly rateControl: "vbr" | "cbr" | "cq" | "q";
  readonly bitrateKbps?: number | undefined;
  readonly cqLevel?: number | undefined;
  /** Most frames from one key frame to the next. */
  readonly gop?: number | undefined;
  readonly speed: number;
  readonly threads: number;
  /** The settings that interface 1.1 added. */
  readonly settings: SettingValues;
  /** 1 to 3. */
  readonly temporalLayers: number;
}

/** Writes a stream's settings. Throws EncoderError if the device lacks what interface 1.1 added for them, DeviceError. */
export function writeSettings(r: EndpointRegisters, spec: string, settings: StreamSettings): void {
  const { MAJOR, MINOR } = r.VERSION.readFields();
  const need = (what: string, capability: Capability, mend = "leave that setting out"): void => {
    if (MINOR >= SETTINGS_MINOR && r.CAPS.readFields()[capability] === 1) return;
    throw new EncoderError(
      `${spec}: it has no ${what}: its interface is ${MAJOR}.${MINOR}, and CAPS.${capability} of interface ${INTERFACE_MAJOR}.${SETTINGS_MINOR} is not set; ${mend}`,
    );
  };
  const size = codedSize(spec, settings);
  r.CODED_SIZE.write(size);
  r.VISIBLE_SIZE.write(size);
  for (const capability of formatCapabilities(settings.format))
    need(settings.format, capability, "convert the video to i420");
  const name = settings.format.toUpperCase() as Uppercase<PixelFormat>;
  r.FORMAT.write(registers.FORMAT.fields.CODE.values[name]);
  r.FPS_NUM.write(settings.fps.num);
  r.FPS_DEN.write(settings.fps.den);
  r.TIMEBASE_NUM.write(settings.timebase.num);
  r.TIMEBASE_DEN.write(settings.timebase.den);
  const modes = registers.RATE_CONTROL.fields.MODE.values;
  if (settings.rateControl === "q") need("constant quality", "Q");
  const mode = { vbr: modes.VBR, cbr: modes.CBR, cq: modes.CQ, q: modes.Q }[settings.rateControl];
  r.RATE_CONTROL.write(mode);
  r.BITRATE.write(settings.bitrateKbps ?? DEFAULT);
  r.CQ_LEVEL.write(settings.cqLevel ?? DEFAULT);
  r.GOP.write(settings.gop ?? DEFAULT);
  r.SPEED.write(settings.speed & 0xff);
  r.THREADS.write(settings.threads);
  const [given] = Object.keys(settings.settings);
  if (given !== undefined) need(given, "SETTINGS");
  if (settings.temporalLayers > 1) need("temporal layers", "TEMPORAL_LAYERS");
  if (MINOR < SETTINGS_MINOR) return;
  // An earlier stream's settings are still in the registers.
  r.TEMPORAL_LAYERS.write(settings.temporalLayers);
  for (const name of settingNames) r[settingTable[name].register].write(settings.settings[name] ?? DEFAULT);
}

function codedSize(spec: string, { width, height }: StreamSettings): number {
  try {
    return packFields(registers.CODED_SIZE, { WIDTH: width, HEIGHT: height });
  } catch (error) {
    throw new EncoderError(`${spec}: width and height ${width}x${height}: the device accepts 1 to 65535`, {
      cause: error,
    });
  }
}
