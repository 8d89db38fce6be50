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

/** A row of docs/encode.md: encode.ts's option, vpxenc's, the default. */
export type SettingRow = readonly [option: string, vpxenc: string, fallback: string];

/** Options whose names or defaults differ from vpxenc's. */
const ownRows: readonly SettingRow[] = [
  ["`--rc cbr`, `vbr`, `cq`, `q`", "`--end-usage`", "vbr"],
  ["`--bitrate KBPS`", "`--target-bitrate`", "libvpx's, 256 kbit/s at any size; 720p looks bad at that rate"],
  [
    "`--cq-level N`",
    "`--cq-level`",
    "libvpx's, 10; used only with `--rc cq`, where the bitrate still caps it, and `--rc q`",
  ],
  ["`--gop N`", "`--kf-max-dist`", "libvpx's, 128 frames (vpxenc itself uses five seconds of video)"],
  ["`--speed N`", "`--cpu-used`", "8"],
  ["`--threads N`", "`--threads`", "1"],
  [
    "`--frames N`, `--limit N`",
    "`--limit`",
    "all; skipped frames count; an input shorter than N frames is not an error",
  ],
  ["`--skip N`", "`--skip`", "0; the frames after them keep their times"],
  ["`--fps N[/D]`", "`--fps`", "the y4m header's; 30 for raw video"],
];

/** The table of docs/encode.md. */
export const settingRows: readonly SettingRow[] = [
  ...ownRows,
  ...settingNames.map((name): SettingRow => {
    const { option } = options[name];
    return [`\`--${option}\`: ${values(name)}`, `\`--${option}\``, `libvpx's, ${settings[name].fallback}`];
  }),
];

const REAL_TIME = "encoding is always real-time, without lag (--rt --lag-in-frames=0); leave it out";
const ONE_PASS = "a real-time encoding has one pass; leave it out";
const NO_ALT_REF = "without lag there are no alternate reference frames; leave it out";
const SUMMARY = "--json prints what was encoded";

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
  "codec vp9": "the video is always VP9; leave it out",
};
