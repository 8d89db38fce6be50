import { type ByteInput, openByteInput } from "./byte-input.ts";
import { quoted } from "./media-error.ts";
import {
  checkFps,
  checkSize,
  frameSizeBytes,
  MediaError,
  MILLISECONDS,
  type PixelFormat,
  type Rational,
  type VideoFormat,
} from "./video.ts";
import { parseY4mHeader, Y4M_FRAME, Y4M_LINE_LIMIT, Y4M_MAGIC, y4mRate } from "./y4m.ts";

/** Raw frames, one after the other. Disposing closes the file; twice is harmless. */
export interface FrameSource extends Disposable {
  /** For messages: the path in quotes, "standard input" or "built-in clip". */
  readonly name: string;
  readonly video: VideoFormat;
  /** Number of whole frames: exact for the clip and raw files, an estimate for y4m files, null for pipes. */
  readonly frameCount: number | null;
  /**
   * Fills `into` (exactly frameSizeBytes) with the next frame: from a regular file directly and at once, from
   * a pipe off the main thread, through 64 KiB chunks. One call at a time.
   * @returns false at the clean end of input
   * @throws MediaError (after all the whole frames) if the input ends inside a frame, ends before the size
   * that the file had when it was opened, or is not what its header says
   */
  read(into: Uint8Array): boolean | Promise<boolean>;
}

/** What the user says about the input; raw video does not describe itself. */
export interface SourceOptions {
  /** Pixels. Required for raw video; for y4m it must agree with the header. */
  readonly size?: { readonly width: number; readonly height: number } | undefined;
  /** Overrides the file's rate. Raw video without one runs at 30 frames a second, as in vpxenc. */
  readonly fps?: Rational | undefined;
  /** Layout of raw video, i420 by default. y4m is always i420. */
  readonly format?: PixelFormat | undefined;
}

/**
 * Steps of one read: each yield gives memory to fill and receives the byte count. Works for files and pipes.
 */
type Steps = Generator<Uint8Array, boolean, number>;

/**
 * Opens raw frames: y4m, recognized by its magic, or else raw planes. "-" is standard input.
 * @throws MediaError if the file can't be opened, its header can't be used, or raw video has no size
 */
export async function openFrameSource(input: string, options: SourceOptions): Promise<FrameSource> {
  const bytes = await openByteInput(input);
  try {
    if (options.fps) checkFps(options.fps, "fps");
    if (options.size) checkSize(options.size, "size");
    const start = await bytes.lookAhead(Y4M_MAGIC.length + 1);
    if (start.length === 0)
      throw new MediaError(
        `${bytes.name} is empty: there is no frame to read. Check what should have written it`,
      );
    return latin1(start) === `${Y4M_MAGIC} ` ? await openY4m(bytes, options) : openRaw(bytes, options);
  } catch (error) {
    bytes[Symbol.dispose]();
    throw error;
  }
}

function openRaw(bytes: ByteInput, options: SourceOptions): FrameSource {
  if (!options.size)
    throw new MediaError(
      `${bytes.name} is not y4m (it does not begin with "${Y4M_MAGIC} "), and raw video does not say its size. ` +
        "Describe it",
      { missing: ["size", "fps", "format"] },
    );
  const video = {
    ...options.size,
    format: options.format ?? "i420",
    ...times(options.fps, { num: 30, den: 1 }),
  };
  return new ByteFrames(bytes, video, false);
}

async function openY4m(bytes: ByteInput, options: SourceOptions): Promise<FrameSource> {
  const line = { line: await takeHeaderLine(bytes), name: bytes.name, word: bytes.word };
  const header = parseY4mHeader(line);
  const size = `${header.width}x${header.height}`;
  if (options.size && (options.size.width !== header.width || options.size.height !== header.height))
    throw new MediaError(
      `${bytes.name}: the y4m header says ${size}, but the size given is ${options.size.width}x${options.size.height}. ` +
        "Leave it out: y4m files contain their own",
    );
  if (options.format === "nv12")
    throw new MediaError(`${bytes.name}: y4m video is always i420. Leave out the format nv12`);
  const video = { ...header, format: "i420" as const };
  return new ByteFrames(bytes, { ...video, ...times(options.fps, options.fps ?? y4mRate(line)) }, true);
}

/** The frame rate, where the user's overrides the file's, and the time base that vpxenc uses for it. */
function times(given: Rational | undefined, own: Rational): Pick<VideoFormat, "fps" | "timebase"> {
  if (given) return { fps: given, timebase: MILLISECONDS };
  return { fps: own, timebase: { num: own.den, den: own.num } };
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

class ByteFrames implements FrameSource {
  readonly name: string;
  readonly video: VideoFormat;
  readonly frameCount: number | null;
  readonly #bytes: ByteInput;
  readonly #isY4m: boolean;
  readonly #frameBytes: number;
  readonly #frameLine = new Uint8Array(new ArrayBuffer(Y4M_FRAME.length));
  #index = 0;
  #failure: MediaError | undefined;

  constructor(bytes: ByteInput, video: VideoFormat, isY4m: boolean) {
    this.name = bytes.name;
    this.video = video;
    this.#bytes = bytes;
    this.#isY4m = isY4m;
    this.#frameBytes = frameSizeBytes(video);
    const stride = this.#frameBytes + (isY4m ? Y4M_FRAME.length : 0);
    this.frameCount =
      bytes.sizeBytes === null ? null : Math.floor((bytes.sizeBytes - bytes.position) / stride);
  }

  read(into: Uint8Array): boolean | Promise<boolean> {
    if (into.length !== this.#frameBytes)
      throw new RangeError(
        `a frame of ${this.name} is ${this.#frameBytes} bytes; ${into.length} were given to fill`,
      );
    if (this.#failure) throw this.#failure;
    return this.#run(this.#isY4m ? this.#readY4m(into) : this.#readPlanes(into, true));
  }

  [Symbol.dispose](): void {
    this.#bytes[Symbol.dispose]();
  }

  /** Runs the steps; continues asynchronously from the first fill that returns a promise. */
  #run(steps: Steps, got?: number): boolean | Promise<boolean> {
    let step = got === undefined ? steps.next() : steps.next(got);
    while (!step.done) {
      const filled = this.#bytes.fill(step.value);
      if (typeof filled !== "number") return filled.then((count) => this.#run(steps, count));
      step = steps.next(filled);
    }
    return step.value;
  }

  *#readY4m(into: Uint8Array): Steps {
    const at = this.#bytes.position;
    const line = this.#frameLine;
    const got = yield line;
    if (got === 0) return this.#end();
    if (latin1(line) !== Y4M_FRAME) {
      const found = latin1(line.subarray(0, got));
      if (found !== Y4M_FRAME.slice(0, got) && found !== "FRAME ") throw this.#misplaced(at, found);
      if (got < line.length) throw this.#truncated(got, line.length + into.length);
      yield* this.#skipLine(at);
    }
    return yield* this.#readPlanes(into, false);
  }

  *#readPlanes(into: Uint8Array, mayEnd: boolean): Steps {
    const got = yield into;
    if (got === 0 && mayEnd) return this.#end();
    if (got < into.length) throw this.#truncated(got, into.length);
    this.#index++;
    return true;
  }

  /** Skips a frame line's parameters; none of them matters to a progressive encoder. */
  *#skipLine(at: number): Generator<Uint8Array, void, number> {
    const byte = new Uint8Array(new ArrayBuffer(1));
    for (let length = Y4M_FRAME.length; length < Y4M_LINE_LIMIT; length++) {
      const got = yield byte;
      if (got === 0) throw this.#truncated(length, Y4M_FRAME.length + this.#frameBytes);
      if (byte[0] === 10) return;
    }
    throw this.#misplaced(at, `FRAME and ${Y4M_LINE_LIMIT} bytes without a newline`);
  }

  /** The end of input after a whole frame. It is clean unless the file was larger when it was opened. */
  #end(): false {
    const { position, sizeBytes } = this.#bytes;
    if (sizeBytes !== null && position < sizeBytes)
      throw this.#fail(
        `${this.name} ends after ${this.#index} frames. ${this.#changed() || "It was shorter for a while: another program writes to it"}`,
      );
    return false;
  }

  #truncated(got: number, wanted: number): MediaError {
    const { width, height, format } = this.video;
    return this.#fail(
      `${this.name} ends inside frame ${this.#index} (counted from 0): ${got} of its ${wanted} bytes are there. ` +
        (this.#changed() ||
          (this.#isY4m
            ? "The file is cut short; write it again"
            : `The file is cut short, or its frames are not ${width}x${height} ${format}: check its size and format`)),
    );
  }

  /** Says what another program did to the file since it was opened, as far as its size shows it. */
  #changed(): string {
    const [before, now] = [this.#bytes.sizeBytes, this.#bytes.sizeNowBytes()];
    if (before === null || now === null || before === now) return "";
    const sizes = `it had ${before} bytes when it was opened and has ${now} now`;
    return now < before
      ? `It was cut short while it was read: ${sizes}. Encode it again when no other program writes to it`
      : `It is still being written: ${sizes}. Encode it when it is complete`;
  }

  #misplaced(at: number, found: string): MediaError {
    const { width, height } = this.video;
    return this.#fail(
      `${this.name}: frame ${this.#index} (counted from 0) should begin with "FRAME" at byte ${at}, where there is ` +
        `${quoted(found)}. The header's size ${width}x${height} does not fit the data, or the file is damaged; ` +
        "write it again",
    );
  }

  #fail(message: string): MediaError {
    this.#failure = new MediaError(message);
    return this.#failure;
  }
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
