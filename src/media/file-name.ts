/** What the name of a raw file says of the video in it, as in clip_640x360_30fps.yuv and foo-1280x720-nv12.yuv. */
import { basename } from "node:path";
import { pixelFormatNames, type Size } from "../pixels/pixel-format.ts";
import { MAX_SIDE } from "./limits.ts";
import { type RawFormat, rawFormats } from "./raw-format.ts";
import type { Rational } from "./video.ts";

/** What is known of a raw video without its file's name. */
export interface KnownVideo {
  readonly size?: Size | undefined;
  readonly fps?: Rational | undefined;
  readonly format?: RawFormat | undefined;
}

/** What a file's name says of its video, each where nothing else says it and the file's length confirms it. */
export interface NameGuess extends KnownVideo {
  /** What the name says that is not used, and why: a clause that begins with "the file's name". */
  readonly doubt?: string;
}

/** Words for the layouts that can be read: their own names, ffmpeg's and FOURCCs. */
const FORMAT_WORDS: Readonly<Record<string, RawFormat>> = {
  ...{ i420: "i420", iyuv: "i420", yuv420: "i420", yuv420p: "i420" },
  ...{ nv12: "nv12", yv12: "yv12", nv21: "nv21" },
  ...{ yuyv: "yuyv", yuyv422: "yuyv", yuy2: "yuyv", uyvy: "uyvy", uyvy422: "uyvy" },
  ...{ mono: "mono", gray8: "mono", y8: "mono", y800: "mono" },
  // The device's own, by ffmpeg's names, with and without the byte order.
  ...Object.fromEntries(
    pixelFormatNames.flatMap((name) => {
      const { ffmpeg } = rawFormats[name];
      return [name, ffmpeg, ffmpeg.replace(/le$/, "")].map((word) => [word, name]);
    }),
  ),
};
/** Words for other layouts: planar by subsampling and bits, P010 and its kind, RGB, more bits. */
const OTHER_FORMAT =
  /^(?:(?:yuva?)?4(?:10|11|20|22|40|44)s?p(?:9|1[0-6])(?:[lb]e)?|yuv[aj]?4(?:10|11|22|40|44)s?p?|4(?:22|44)p?|yuva420p?|p[024]1[0-6](?:[lb]e)?|nv(?:16|24|42)|[vy]210|(?:rgb|bgr|argb|abgr|gbr)[a-z]{0,2}\d{0,2}|(?:9|1[0-6])(?:bits?|[lb]e))$/;
const SIZE = /(?<!\d|\dx)(\d{1,5})x(\d{1,5})(?!\d|x\d)/g;
const RATE = /(?<!\d|\d\.)(\d{1,3}(?:\.\d{1,3})?)[ _-]?(?:fps|hz)(?![a-z])/g;
/** NTSC's rates as they are written. */
const NTSC: Readonly<Record<string, number>> = { "23.976": 24, "23.98": 24, "29.97": 30, "59.94": 60 };

/** Each different thing that the name says, in its order. */
function wordsOf(path: string) {
  const name = basename(path).toLowerCase();
  const sizes = new Map<string, Size>();
  for (const [, width, height] of name.matchAll(SIZE)) {
    const size = { width: Number(width), height: Number(height) };
    const isSize = Object.values(size).every((side) => side >= 1 && side <= MAX_SIDE);
    if (isSize) sizes.set(worded(size), size);
  }
  const rates = new Map<string, Rational>();
  for (const [, text] of name.replace(SIZE, "_").matchAll(RATE))
    if (Number(text) > 0) rates.set(`${Number(text)}`, rate(text!));
  const words = name.split(/[^a-z0-9]+/);
  return {
    sizes,
    rates,
    formats: new Set(words.flatMap((word) => (Object.hasOwn(FORMAT_WORDS, word) ? FORMAT_WORDS[word]! : []))),
    other: words.find((word) => !Object.hasOwn(FORMAT_WORDS, word) && OTHER_FORMAT.test(word)),
  };
}

function worded({ width, height }: Size): string {
  return `${width}x${height}`;
}

function rate(text: string): Rational {
  if (Object.hasOwn(NTSC, text)) return { num: NTSC[text]! * 1000, den: 1001 };
  const [whole = "", decimals = ""] = text.split(".");
  return { num: Number(whole + decimals), den: 10 ** decimals.length };
}

/**
 * Guesses what `known` lacks, if the file's length is a whole number of such frames. A name that has another
 * size than the known one is not used, nor what it says twice in different ways.
 */
export function guessFromName(path: string, sizeBytes: number, known: KnownVideo): NameGuess {
  const { sizes, rates, formats, other } = wordsOf(path);
  const listed = (names: Iterable<string>) => [...names].join(" and ");
  if (known.size && sizes.size > 0 && !sizes.has(worded(known.size))) return {};
  if (!known.size && sizes.size > 1)
    return { doubt: `the file's name has the sizes ${listed(sizes.keys())}, so none is used` };
  const size = known.size ?? [...sizes.values()][0];
  if (!size) return {};
  if (!known.format && other)
    return {
      doubt: `the file's name says ${other}, a layout that can't be read, so nothing is guessed from it`,
    };
  if (!known.format && formats.size > 1)
    return { doubt: `the file's name has the formats ${listed(formats)}, so nothing is guessed from it` };
  const format = known.format ?? [...formats][0];
  const frameBytes = rawFormats[format ?? "i420"].layout(size).sizeBytes;
  if (sizeBytes % frameBytes !== 0) {
    // If the size is known, the end of the file will be an error of its own.
    if (known.size) return {};
    const frame = `${worded(size)} ${format ?? "i420"}`;
    return {
      doubt: `the file's name says ${frame}, but its ${sizeBytes} bytes are not a whole number of such frames (${frameBytes} bytes each)`,
    };
  }
  const [fps] = rates.values();
  return {
    ...(known.size ? {} : { size }),
    ...(known.format || !format ? {} : { format }),
    ...(known.fps || !fps || rates.size > 1 ? {} : { fps }),
    ...(known.fps || rates.size < 2
      ? {}
      : { doubt: `the file's name has the rates ${listed(rates.keys())}, so none is used` }),
  };
}
