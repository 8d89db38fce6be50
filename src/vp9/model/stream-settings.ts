/** Checks the endpoint's stream registers and turns them into the codec's settings. */

import { pixelFormatNames } from "../../pixels/pixel-format.ts";
import { getField } from "../../registers/fields.ts";
import type { CodecSettings } from "../codec/codec.ts";
import { DEFAULT, registers } from "../contract/registers.ts";
import { type SettingName, settingNames, settings } from "../contract/settings.ts";

export type RegisterName = keyof typeof registers;

/** Registers that define a range of values. */
type RangedName = {
  [N in RegisterName]: (typeof registers)[N] extends { readonly range: readonly [number, number] }
    ? N
    : never;
}[RegisterName];

/** A stream register has a value that can't be used. */
export class BadValue extends Error {
  readonly register: RegisterName;
  constructor(register: RegisterName) {
    super(register);
    this.register = register;
  }
}

/** The settings in the registers. Throws BadValue naming the first register that is wrong. */
export function readStreamSettings(value: (register: RegisterName) => number): CodecSettings {
  const between = (register: RegisterName, number: number, low: number, high: number): number => {
    if (number < low || number > high) throw new BadValue(register);
    return number;
  };
  const within = (register: RangedName, number = value(register)): number => {
    const [low, high] = registers[register].range;
    return between(register, number, low, high);
  };
  const optional = (register: RangedName): number | null =>
    value(register) === DEFAULT ? null : within(register);
  const { WIDTH, HEIGHT } = registers.CODED_SIZE.fields;
  const maxWidth = getField(WIDTH, registers.MAX_SIZE.reset);
  const maxHeight = getField(HEIGHT, registers.MAX_SIZE.reset);
  const coded = value("CODED_SIZE");
  const visible = value("VISIBLE_SIZE");
  const codedWidth = between("CODED_SIZE", getField(WIDTH, coded), 1, maxWidth);
  const codedHeight = between("CODED_SIZE", getField(HEIGHT, coded), 1, maxHeight);
  const rateControls = ["vbr", "cbr", "cq", "q"] as const;
  const speed = value("SPEED");
  const given: Partial<Record<SettingName, number>> = {};
  for (const name of settingNames) {
    const number = optional(settings[name].register);
    if (number !== null) given[name] = number;
  }
  return {
    codedWidth,
    codedHeight,
    width: between("VISIBLE_SIZE", getField(WIDTH, visible), 1, codedWidth),
    height: between("VISIBLE_SIZE", getField(HEIGHT, visible), 1, codedHeight),
    format: pixelFormatNames[between("FORMAT", value("FORMAT"), 0, pixelFormatNames.length - 1)]!,
    fps: { num: within("FPS_NUM"), den: within("FPS_DEN") },
    timebase: { num: within("TIMEBASE_NUM"), den: within("TIMEBASE_DEN") },
    rateControl: rateControls[between("RATE_CONTROL", value("RATE_CONTROL"), 0, rateControls.length - 1)]!,
    bitrateKbps: optional("BITRATE"),
    cqLevel: optional("CQ_LEVEL"),
    gopFrames: optional("GOP"),
    speed: speed === DEFAULT ? null : within("SPEED", (between("SPEED", speed, 0, 0xff) << 24) >> 24),
    threads: within("THREADS"),
    settings: given,
    temporalLayers: within("TEMPORAL_LAYERS"),
  };
}
