/** What a run of the campaign `inputs` is made of. */
import fc, { type Arbitrary } from "fast-check";

/** A word of a header, or an option's value, and whether encode.ts can work with it. */
export interface Word {
  readonly text: string;
  readonly fine: boolean;
}

export interface Y4mCase {
  readonly kind: "y4m";
  readonly magic: Word;
  readonly width: Word;
  readonly height: Word;
  readonly rate: Word;
  readonly color: Word;
  readonly interlacing: Word;
  readonly aspect: Word;
  readonly extra: Word;
  readonly frameLine: Word;
  /** A frame that begins with another word; none if there are not so many. */
  readonly wrongFrame: number;
}

export interface RawCase {
  readonly kind: "raw";
  readonly width: number;
  readonly height: number;
  readonly format: keyof typeof rawFormats;
  /** What the command line says: the truth, nothing, that the video is a pixel higher, or a value that can't be. */
  readonly said: "right" | "nothing" | "higher" | "0x16" | "16385x2" | "16";
}

export const origins = [
  "file",
  "symlink",
  "fifo",
  "stdin pipe",
  "stdin file",
  "growing file",
  "shrinking file",
  "/dev/zero",
  "folder",
  "missing",
  "unreadable",
] as const;

export const destinations = [
  "new ivf",
  "new webm",
  "existing ivf",
  "existing webm",
  "stdout pipe",
  "stdout file",
  "closed pipe",
  "full disk",
  "read-only folder",
  "folder",
  "missing folder",
  "/dev/full",
  "/dev/null",
  "the input",
  "another ending",
] as const;

export interface InputCase {
  readonly content: Y4mCase | RawCase;
  readonly frames: number;
  /** The input ends so many bytes before its end, or has so many more; 0 for neither. */
  readonly cutBytes: number;
  readonly surplusBytes: number;
  readonly from: (typeof origins)[number];
  readonly to: (typeof destinations)[number];
  /** 4 KiB pages that are free on the full disk. */
  readonly freePages: 0 | 1;
  readonly codec: "null" | "libvpx";
  readonly json: boolean;
}

/** Frames of a long input, which is still read when its file changes. */
export const LONG = 1500;

/** Bytes of a frame in the file, by its size. */
const planar = (x: number, y: number, bytes: number) => (width: number, height: number) =>
  bytes * (width * height + 2 * Math.ceil(width / x) * Math.ceil(height / y));

/** Formats of raw video whose frames reach the device as they are, or with V and U swapped, or with grey chroma. */
export const rawFormats = {
  i420: planar(2, 2, 1),
  nv12: planar(2, 2, 1),
  yv12: planar(2, 2, 1),
  i422: planar(2, 1, 1),
  i440: planar(1, 2, 1),
  i444: planar(1, 1, 1),
  i420p10: planar(2, 2, 2),
  mono: (width: number, height: number) => width * height,
} as const;

/** Colour spaces of y4m, and the format of raw video that they are. */
export const y4mColors: Readonly<Record<string, keyof typeof rawFormats>> = {
  "": "i420",
  C420: "i420",
  C420jpeg: "i420",
  C420mpeg2: "i420",
  Cmono: "mono",
  C422: "i422",
  C440: "i440",
  C444: "i444",
  C420p10: "i420p10",
};

const fine = (...texts: string[]) => fc.constantFrom(...texts.map((text): Word => ({ text, fine: true })));
const bad = (...texts: string[]) => fc.constantFrom(...texts.map((text): Word => ({ text, fine: false })));
/** Mostly fine, so that a run has one mistake rather than many. */
const mostly = (right: Arbitrary<Word>, wrong: Arbitrary<Word>) =>
  fc.oneof({ weight: 40, arbitrary: right }, { weight: 1, arbitrary: wrong });

const side = (tag: "W" | "H", most: number) =>
  mostly(
    fc.oneof(
      fc.integer({ min: 1, max: 48 }).map((value): Word => ({ text: `${tag}${value}`, fine: true })),
      fine(`${tag}1`, `${tag}2`, `${tag}${most}`),
    ),
    fc.oneof(
      bad(
        "",
        ...["0", "-2", "1.5", "16385", "99999999999999999999999999", "abc", "0x10", "4294967298"].map(
          (value) => tag + value,
        ),
      ),
      // Files may be as large as this, and the device refuses them.
      fine(...["4097", "16384"].map((value) => tag + value)),
    ),
  );

const y4m: Arbitrary<Y4mCase> = fc.record({
  kind: fc.constant("y4m"),
  magic: mostly(fine("YUV4MPEG2"), bad("YUV4MPEG1", "YUV4MPEG2X", "yuv4mpeg2", "\u0000")),
  // The device takes up to 4096; with one side of that a frame is still small.
  width: side("W", 4096),
  height: side("H", 47),
  rate: mostly(
    fine("F30:1", "F25:1", "F30000:1001", "F1000000:1"),
    bad("", "F0:0", "F0:1", "F1:0", "F30", "Fx:y", "F1000000001:1", "F-1:1"),
  ),
  color: mostly(
    fine(...Object.keys(y4mColors)),
    bad("C411", "C420paldv", "C444alpha", "C420p9", "Cxyz", "C", "C420p10p10"),
  ),
  interlacing: mostly(fine("", "Ip", "I?"), bad("It", "Ib", "Im", "Ix", "I")),
  aspect: mostly(fine("", "A1:1", "A0:0", "A16:11"), bad("A", "A1", "A1:x", "A99999999999:1")),
  extra: mostly(
    fine(
      "",
      "XCOLORRANGE=FULL",
      "XCOLORRANGE=LIMITED",
      "XYSCSS=420JPEG",
      "Xe2 80 ae",
      `X${"x".repeat(3000)}`,
    ),
    bad(`X${"x".repeat(5000)}`),
  ),
  frameLine: mostly(
    fine("FRAME", "FRAME Ip", `FRAME X${"x".repeat(3000)}`),
    bad("FRAM", "frame", "FRAMEX", "", `FRAME X${"x".repeat(5000)}`),
  ),
  wrongFrame: fc.oneof(
    { weight: 12, arbitrary: fc.constant(LONG) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 6 }) },
  ),
});

const raw: Arbitrary<RawCase> = fc.record({
  kind: fc.constant("raw"),
  width: fc.integer({ min: 1, max: 48 }),
  height: fc.integer({ min: 1, max: 48 }),
  format: fc.constantFrom(...(Object.keys(rawFormats) as (keyof typeof rawFormats)[])),
  said: fc.constantFrom("right", "right", "right", "right", "nothing", "higher", "0x16", "16385x2", "16"),
});

export const inputCases: Arbitrary<InputCase> = fc.record({
  content: fc.oneof({ weight: 3, arbitrary: y4m }, { weight: 1, arbitrary: raw }),
  frames: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(LONG)),
  cutBytes: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.nat({ max: 20_000 }) },
  ),
  surplusBytes: fc.oneof(
    { weight: 10, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.nat({ max: 5000 }) },
  ),
  from: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...origins.slice(0, 7)) },
    { weight: 1, arbitrary: fc.constantFrom(...origins) },
  ),
  to: fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(...destinations.slice(0, 5)) },
    { weight: 1, arbitrary: fc.constantFrom(...destinations) },
  ),
  freePages: fc.constantFrom(0, 1),
  codec: fc.oneof(
    { weight: 9, arbitrary: fc.constant("null" as const) },
    { weight: 1, arbitrary: fc.constant("libvpx" as const) },
  ),
  json: fc.boolean(),
});
