/**
 * The stream settings of interface 1.1: for each one its register, its name on a command line, which is vpxenc's, and its
 * values. The encoder's configuration, the driver, the model, encode.ts and docs/encode.md are made from this table.
 */
import { DEFAULT, registers } from "./registers.ts";

/** How a setting is given. Without `names` or `flag` it is a whole number in the register's range. */
interface Setting {
  readonly register: keyof typeof registers;
  /** vpxenc's option, without the dashes. */
  readonly option: string;
  /** Names of the values 0, 1, 2 and so on. */
  readonly names?: readonly string[];
  /** Whether its values are 0, off, and 1, on. */
  readonly flag?: true;
  /** What a number counts, for a command line. */
  readonly unit?: string;
  /** What libvpx does without it. */
  readonly fallback: string;
}

/** The settings, in the order of their registers. */
export const settings = {
  minQ: { register: "MIN_Q", option: "min-q", fallback: "0" },
  maxQ: { register: "MAX_Q", option: "max-q", fallback: "63" },
  undershootPct: { register: "UNDERSHOOT", option: "undershoot-pct", unit: "PCT", fallback: "25" },
  overshootPct: { register: "OVERSHOOT", option: "overshoot-pct", unit: "PCT", fallback: "25" },
  bufSize: { register: "BUF_SIZE", option: "buf-sz", unit: "MS", fallback: "6000" },
  bufInitialSize: { register: "BUF_INITIAL_SIZE", option: "buf-initial-sz", unit: "MS", fallback: "4000" },
  bufOptimalSize: { register: "BUF_OPTIMAL_SIZE", option: "buf-optimal-sz", unit: "MS", fallback: "5000" },
  dropFrame: { register: "DROP_FRAME", option: "drop-frame", unit: "PCT", fallback: "0, never" },
  gopMin: { register: "GOP_MIN", option: "kf-min-dist", fallback: "0" },
  tileColumns: { register: "TILE_COLUMNS", option: "tile-columns", fallback: "6" },
  tileRows: { register: "TILE_ROWS", option: "tile-rows", fallback: "0" },
  rowMt: { register: "ROW_MT", option: "row-mt", flag: true, fallback: "0" },
  frameParallel: { register: "FRAME_PARALLEL", option: "frame-parallel", flag: true, fallback: "1" },
  aqMode: { register: "AQ_MODE", option: "aq-mode", fallback: "0" },
  noiseSensitivity: { register: "NOISE_SENSITIVITY", option: "noise-sensitivity", fallback: "0" },
  staticThreshold: { register: "STATIC_THRESHOLD", option: "static-thresh", fallback: "0" },
  tuneContent: {
    register: "TUNE_CONTENT",
    option: "tune-content",
    names: ["default", "screen", "film"],
    fallback: "default",
  },
  errorResilient: { register: "ERROR_RESILIENT", option: "error-resilient", flag: true, fallback: "0" },
  lossless: { register: "LOSSLESS", option: "lossless", flag: true, fallback: "0" },
  sharpness: { register: "SHARPNESS", option: "sharpness", fallback: "0" },
  maxIntraRate: {
    register: "MAX_INTRA_RATE",
    option: "max-intra-rate",
    unit: "PCT",
    fallback: "0, no limit",
  },
  colorSpace: {
    register: "COLOR_SPACE",
    option: "color-space",
    names: ["unknown", "bt601", "bt709", "smpte170", "smpte240", "bt2020"],
    fallback: "unknown",
  },
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof settings;

/** The settings' names, in the order of their registers. */
export const settingNames = Object.keys(settings) as readonly SettingName[];

type ValueOf<S> = S extends { readonly names: readonly (infer Value)[] }
  ? Value
  : S extends { readonly flag: true }
    ? boolean
    : number;

/** Settings as they are given; docs/encode.md has their meaning. One that is left out is the codec's own default. */
export type Settings = { readonly [Name in SettingName]?: ValueOf<(typeof settings)[Name]> | undefined };

/** Settings as their registers have them. */
export type SettingValues = Readonly<Partial<Record<SettingName, number>>>;

/** A setting's meaning, and its lowest and highest value. */
export function settingRegister(name: SettingName): { about: string; range: readonly [number, number] } {
  return registers[settings[name].register];
}

/**
 * The registers' values of these settings.
 * @throws RangeError for a value of the wrong kind. One that a register can hold is for the device to refuse, by name
 */
export function settingValues(given: Settings): SettingValues {
  const values: Partial<Record<SettingName, number>> = {};
  for (const name of settingNames) {
    const value = given[name];
    if (value !== undefined) values[name] = settingValue(name, value);
  }
  return values;
}

function settingValue(name: SettingName, value: unknown): number {
  const setting: Setting = settings[name];
  const refuse = (wanted: string) =>
    new RangeError(`${name} is ${JSON.stringify(value)}; it must be ${wanted}`);
  if (setting.names) {
    const index = setting.names.indexOf(value as string);
    if (index < 0) throw refuse(`one of ${setting.names.join(", ")}`);
    return index;
  }
  if (setting.flag) {
    if (typeof value !== "boolean") throw refuse("true or false");
    return Number(value);
  }
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value >= DEFAULT)
    throw refuse(`a whole number from 0 to ${DEFAULT - 1}`);
  return value;
}
