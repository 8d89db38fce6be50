/** Checks the endpoint's stream registers and turns them into the codec's settings. */
import { DEFAULT, registers } from "../../endpoint/registers.ts";
import { getField } from "../../pci/registers.ts";
import type { CodecSettings } from "../codec/codec.ts";

type RegisterName = keyof typeof registers;

/** A stream register with a value that can't be used. */
export class BadValue extends Error {
  readonly register: RegisterName;
  constructor(register: RegisterName) {
    super(register);
    this.register = register;
  }
}

/** Bytes of a frame in memory: luma, then chroma of half its width and height, rounded up. */
export function codedFrameBytes(settings: Pick<CodecSettings, "codedWidth" | "codedHeight">): number {
  const { codedWidth, codedHeight } = settings;
  return codedWidth * codedHeight + 2 * Math.ceil(codedWidth / 2) * Math.ceil(codedHeight / 2);
}

/** The settings in the registers. Throws BadValue naming the first register that is wrong. */
export function readStreamSettings(value: (register: RegisterName) => number): CodecSettings {
  const within = (register: RegisterName, number: number, low: number, high: number): number => {
    if (number < low || number > high) throw new BadValue(register);
    return number;
  };
  const optional = (register: RegisterName, low: number, high: number): number | null => {
    const number = value(register);
    return number === DEFAULT ? null : within(register, number, low, high);
  };
  const { WIDTH, HEIGHT } = registers.CODED_SIZE.fields;
  const maxWidth = getField(WIDTH, registers.MAX_SIZE.reset);
  const maxHeight = getField(HEIGHT, registers.MAX_SIZE.reset);
  const coded = value("CODED_SIZE");
  const visible = value("VISIBLE_SIZE");
  const codedWidth = within("CODED_SIZE", getField(WIDTH, coded), 1, maxWidth);
  const codedHeight = within("CODED_SIZE", getField(HEIGHT, coded), 1, maxHeight);
  const formats = ["i420", "nv12"] as const;
  const rateControls = ["vbr", "cbr", "cq"] as const;
  const speed = value("SPEED");
  return {
    codedWidth,
    codedHeight,
    width: within("VISIBLE_SIZE", getField(WIDTH, visible), 1, codedWidth),
    height: within("VISIBLE_SIZE", getField(HEIGHT, visible), 1, codedHeight),
    format: formats[within("FORMAT", value("FORMAT"), 0, formats.length - 1)]!,
    fps: {
      num: within("FPS_NUM", value("FPS_NUM"), 1, 1e9),
      den: within("FPS_DEN", value("FPS_DEN"), 1, 1e9),
    },
    timebase: {
      num: within("TIMEBASE_NUM", value("TIMEBASE_NUM"), 1, 1e9),
      den: within("TIMEBASE_DEN", value("TIMEBASE_DEN"), 1, 1e9),
    },
    rateControl: rateControls[within("RATE_CONTROL", value("RATE_CONTROL"), 0, rateControls.length - 1)]!,
    bitrateKbps: optional("BITRATE", 1, 1e6),
    cqLevel: optional("CQ_LEVEL", 0, 63),
    gopFrames: optional("GOP", 0, 1e6),
    speed: speed === DEFAULT ? null : within("SPEED", (within("SPEED", speed, 0, 0xff) << 24) >> 24, -9, 9),
    threads: within("THREADS", value("THREADS"), 1, 64),
  };
}
