/** encode.ts's codec settings as options, and vpxenc's names for them and for everything else. */
import type { ArgsDef } from "citty";
import {
  type SettingName,
  type Settings,
  settingNames,
  settingRegister,
  settings,
} from "../../src/vp9/contract/settings.ts";
import { whole } from "./numbers.ts";

type Option = (typeof settings)[SettingName]["option"];

interface SettingOption {
  readonly option: Option;
  readonly names?: readonly string[];
  readonly flag?: true;
  readonly unit?: string;
}

const options: Readonly<Record<SettingName, SettingOption>> = settings;

/** "0 to 63", or the names. */
function values(name: SettingName): string {
  const [low, high] = settingRegister(name).range;
  return options[name].names?.join(", ") ?? `${low} to ${high}`;
}

/** A definition for each setting. */
export const settingArgs = Object.fromEntries(
  settingNames.map((name) => {
    const { option, names, unit } = options[name];
    // The registers' meaning of each number is the names.
    const description = settingRegister(name).about.replace(names ? /: 0 .*/ : /$^/, "");
    const common = { description };
    return [
      option,
      names
        ? { ...common, type: "enum" as const, options: [...names] }
        : { ...common, type: "string" as const, valueHint: unit ?? (options[name].flag ? "0|1" : "N") },
    ];
  }),
) as unknown as { readonly [Name in Option]: { readonly type: "string"; readonly description: string } };

settingArgs satisfies ArgsDef;

/** Throws UsageError for what is not a value of the setting. */
export function readSettings(args: Readonly<Record<string, unknown>>): Settings {
  const given: Partial<Record<SettingName, string | number | boolean>> = {};
  for (const name of settingNames) {
    const { option, names, flag } = options[name];
    const text = args[option] as string | undefined;
    if (text === undefined) continue;
    if (names) {
      given[name] = text;
      continue;
    }
    const value = whole(option, text, ...settingRegister(name).range)!;
    given[name] = flag ? value === 1 : value;
  }
  return given as Settings;
}

/** A row of docs/encode.md's table. */
export type SettingRow = readonly [
  option: string,
  vpxenc: string,
  library: string,
  values: string,
  fallback: string,
];

/** Columns of that table. */
export const settingColumns = ["encode.ts", "vpxenc", "library", "values", "default"] as const;

/** Options whose names or defaults differ from vpxenc's. */
const ownRows: readonly SettingRow[] = [
  [
    "--rc",
    "--end-usage",
    "bitrateMode",
    "cbr, vbr, cq, q; library: constant, variable, quantizer, constant-quality",
    "vbr",
  ],
  ["--bitrate", "--target-bitrate", "bitrate", "kbit/s; library: bit/s", "256 kbit/s at any size"],
  ["--cq-level", "same", "cqLevel", "0 to 63, for cq and q", "10"],
  ["--gop", "--kf-max-dist", "gop", "frames", "128 (vpxenc itself: five seconds of video)"],
  ["--speed", "--cpu-used", "speed", "-9 to 9", "8"],
  ["--threads", "same", "threads", "1 to 64", "1"],
  ["--frames, --limit", "--limit", "", "frames, with the skipped ones", "all"],
  ["--skip", "same", "", "frames; those after them keep their times", "0"],
  ["--fps", "same", "framerate", "N or N/D", "the y4m header's; 30 for raw video"],
];

/** The rows of that table. */
export const settingRows: readonly SettingRow[] = [
  ...ownRows,
  ...settingNames.map((name): SettingRow => {
    const { option, unit, flag } = options[name];
    const counted = unit === undefined ? "" : unit === "MS" ? " ms" : " %";
    const shown = flag ? "0, 1; library: false, true" : values(name) + counted;
    return [`--${option}`, "same", name, shown, settings[name].fallback];
  }),
];

const REAL_TIME = "encoding is always real-time, without lag (--rt --lag-in-frames=0); leave it out";
const ONE_PASS = "a real-time encoding has one pass; leave it out";
const NO_ALT_REF = "without lag there are no alternate reference frames; leave it out";
const SUMMARY = "--json prints what was encoded";
const TWO_PASS = "it is for two passes, and a real-time encoding has one; leave it out";
const FROM_FORMAT = "it follows from the input's format: --format i422p10 and the like, or what a y4m says";
const NO_SUCH = "vpxenc's setting of that name is not among this encoder's; leave it out";

const all = (answer: string, ...names: string[]) => Object.fromEntries(names.map((name) => [name, answer]));

/** Answers to vpxenc's options and choices that are not encode.ts's. */
export const vpxencAnswers: Readonly<Record<string, string>> = {
  "end-usage": "here it is --rc",
  "target-bitrate": "here it is --bitrate",
  "kf-max-dist": "here it is --gop",
  "disable-kf": "here it is --gop 1000000",
  "cpu-used": "here it is --speed",
  width: "here it is --size WxH",
  height: "here it is --size WxH",
  w: "here it is --size WxH",
  h: "here it is --size WxH",
  t: "here it is --threads",
  i420: "here it is --format i420",
  nv12: "here it is --format nv12",
  yv12: "here it is --format yv12",
  ivf: "the output's name says so: -o OUT.ivf",
  webm: "the output's name says so: -o OUT.webm",
  timebase: "it follows from the frame rate: --fps",
  rt: REAL_TIME,
  good: REAL_TIME,
  best: REAL_TIME,
  d: REAL_TIME,
  deadline: REAL_TIME,
  "lag-in-frames": REAL_TIME,
  p: ONE_PASS,
  passes: ONE_PASS,
  pass: ONE_PASS,
  fpf: ONE_PASS,
  "auto-alt-ref": NO_ALT_REF,
  "arnr-maxframes": NO_ALT_REF,
  "arnr-strength": NO_ALT_REF,
  "arnr-type": NO_ALT_REF,
  "alt-ref-aq": NO_ALT_REF,
  psnr: SUMMARY,
  v: SUMMARY,
  verbose: SUMMARY,
  q: "here it is --quiet",
  y: "no warning waits for an answer here; leave it out",
  "disable-warning-prompt": "no warning waits for an answer here; leave it out",
  "disable-warnings": "here it is --quiet",
  ...all(TWO_PASS, "bias-pct", "minsection-pct", "maxsection-pct", "corpus-complexity"),
  ...Object.fromEntries(["i422", "i440", "i444"].map((name) => [name, `here it is --format ${name}`])),
  ...all(FROM_FORMAT, "profile", "b", "bit-depth", "input-bit-depth"),
  ...all(NO_ALT_REF, "enable-tpl", "min-gf-interval", "max-gf-interval"),
  ...all(NO_SUCH, "D", "debug", "u", "usage", "P", "output-partitions", "q-hist", "rate-hist", "test-decode"),
  ...all(NO_SUCH, "resize-allowed", "resize-width", "resize-height", "resize-up", "resize-down"),
  ...all(NO_SUCH, "stereo-mode", "test-16bit-internal", "tune", "max-inter-rate", "gf-cbr-boost"),
  ...all(NO_SUCH, "frame-boost", "target-level", "disable-loopfilter"),
  "codec vp9": "the video is always VP9; leave it out",
};
