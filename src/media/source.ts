import { ByteFrames } from "./byte-frames.ts";
import { type ByteInput, openByteInput } from "./byte-input.ts";
import type { ColorSpace } from "./color.ts";
import { guessFromName } from "./file-name.ts";
import type { FrameSource } from "./frame-source.ts";
import { Y4M_LINE_LIMIT } from "./limits.ts";
import type { RawFormat } from "./raw-format.ts";
import {
  checkFps,
  checkPixelAspect,
  checkSize,
  MediaError,
  MILLISECONDS,
  type Rational,
  type VideoFormat,
} from "./video.ts";
import { latin1, parseY4mHeader, Y4M_MAGIC, y4mRate } from "./y4m.ts";

export type { FrameSource } from "./frame-source.ts";

/** What the user says about the input; raw video does not describe itself. */
export interface SourceOptions {
  /** Pixels. Required for raw video; for y4m it must agree with the header. */
  readonly size?: { readonly width: number; readonly height: number } | undefined;
  /** Overrides the file's rate. Raw video without one runs at 30 frames a second, as in vpxenc. */
  readonly fps?: Rational | undefined;
  /** Layout of raw video, i420 by default; for y4m it must agree with the header. */
  readonly format?: RawFormat | undefined;
  /** Overrides what a y4m's header says. Full range is 0 to 255. */
  readonly range?: "limited" | "full" | undefined;
  /** A pixel's width over its height; overrides what a y4m's header says. */
  readonly pixelAspect?: Rational | undefined;
  /** No file says it. */
  readonly colorSpace?: ColorSpace | undefined;
  /**
   * Takes a raw file's size, rate and format from its name, as in clip_640x360_30fps.yuv, where they are not
   * given. Only if the file's length is a whole number of such frames; not from a pipe. Default false.
   */
  readonly guess?: boolean | undefined;
}

/**
 * Opens raw frames: y4m, recognized by its magic, or else raw planes. "-" is standard input.
 * @throws MediaError if the file can't be opened, its header can't be used, or raw video has no size
 */
export async function openFrameSource(input: string, options: SourceOptions): Promise<FrameSource> {
  const bytes = await openByteInput(input);
  try {
    if (options.fps) checkFps(options.fps, "fps");
    if (options.size) checkSize(options.size, "size");
    if (options.pixelAspect) checkPixelAspect(options.pixelAspect, "pixelAspect");
    const start = await bytes.lookAhead(Y4M_MAGIC.length + 1);
    if (start.length === 0)
      throw new MediaError(
        `${bytes.name} is empty: there is no frame to read. Check what should have written it`,
      );
    return latin1(start) === `${Y4M_MAGIC} ` ? await openY4m(bytes, options) : openRaw(input, bytes, options);
  } catch (error) {
    bytes[Symbol.dispose]();
    throw error;
  }
}

function openRaw(input: string, bytes: ByteInput, options: SourceOptions): FrameSource {
  const guessed =
    options.guess && input !== "-" && bytes.sizeBytes !== null
      ? guessFromName(input, bytes.sizeBytes, options)
      : {};
  const { size, format = "i420" } = { ...options, ...guessed };
  if (!size)
    throw new MediaError(
      `${bytes.name} is not y4m (it does not begin with "${Y4M_MAGIC} "), and raw video does not say its size. ` +
        `${guessed.doubt ? `${guessed.doubt.replace("t", "T")}. ` : ""}Describe it`,
      { missing: ["size", "fps", "format"] },
    );
  const fps = times(options.fps, guessed.fps ?? { num: 30, den: 1 });
  return new ByteFrames(bytes, false, format, { ...size, ...fps, ...look({}, options) }, guessed);
}

async function openY4m(bytes: ByteInput, options: SourceOptions): Promise<FrameSource> {
  const line = { line: await takeHeaderLine(bytes), name: bytes.name, word: bytes.word };
  const header = parseY4mHeader(line);
  const { width, height, format } = header;
  if (options.size && (options.size.width !== width || options.size.height !== height))
    throw new MediaError(
      `${bytes.name}: the y4m header says ${width}x${height}, but the size given is ${options.size.width}x${options.size.height}. ` +
        "Leave it out: y4m files contain their own",
    );
  if (options.format && options.format !== format)
    throw new MediaError(
      `${bytes.name}: the y4m header says ${format}, but the format given is ${options.format}. ` +
        "Leave it out: y4m files contain their own",
    );
  const fps = times(options.fps, options.fps ?? y4mRate(line));
  const video = { width, height, ...fps, ...look(header, options) };
  return new ByteFrames(bytes, true, format, video);
}

/** The frame rate, where the user's overrides the file's, and the time base that vpxenc uses for it. */
function times(given: Rational | undefined, own: Rational): Pick<VideoFormat, "fps" | "timebase"> {
  if (given) return { fps: given, timebase: MILLISECONDS };
  return { fps: own, timebase: { num: own.den, den: own.num } };
}

/** How the samples are to be shown, as far as it is known: what the user says comes before what the file says. */
function look(
  file: Pick<VideoFormat, "pixelAspect" | "fullRange">,
  { range, pixelAspect = file.pixelAspect, colorSpace }: SourceOptions,
): Pick<VideoFormat, "pixelAspect" | "fullRange" | "colorSpace"> {
  const fullRange = range === undefined ? file.fullRange : range === "full";
  return {
    ...(pixelAspect && pixelAspect.num !== pixelAspect.den ? { pixelAspect } : {}),
    ...(fullRange === undefined ? {} : { fullRange }),
    ...(colorSpace === undefined ? {} : { colorSpace }),
  };
}

async function takeHeaderLine(bytes: ByteInput): Promise<string> {
  for (let count = 128; ; count *= 2) {
    const seen = await bytes.lookAhead(count);
    const end = seen.subarray(0, Y4M_LINE_LIMIT).indexOf(10);
    if (end >= 0) {
      const line = new Uint8Array(end + 1);
      await bytes.fill(line);
      return latin1(line.subarray(0, end));
    }
    if (seen.length >= Y4M_LINE_LIMIT || seen.length < count)
      throw new MediaError(
        `${bytes.name}: the y4m header has no end: no newline in its first ${Math.min(seen.length, Y4M_LINE_LIMIT)} ` +
          "bytes. The file is damaged or cut short; write it again",
      );
  }
}
