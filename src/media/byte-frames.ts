import type { ByteInput } from "./byte-input.ts";
import type { NameGuess } from "./file-name.ts";
import type { FrameSource } from "./frame-source.ts";
import { Y4M_LINE_LIMIT } from "./limits.ts";
import { quoted } from "./media-error.ts";
import { type FileLayout, type RawFormat, rawFormats } from "./raw-format.ts";
import { frameSizeBytes, MediaError, type VideoFormat } from "./video.ts";
import { latin1, Y4M_FRAME } from "./y4m.ts";

/**
 * Steps of one read: each yield gives memory to fill and receives the byte count. Works for files and pipes.
 */
type Steps = Generator<Uint8Array, boolean, number>;

/** The frames of a y4m file after its header, or of raw video. */
export class ByteFrames implements FrameSource {
  readonly name: string;
  readonly video: VideoFormat;
  readonly isY4m: boolean;
  readonly convertedFrom?: RawFormat;
  readonly guessed: NameGuess;
  readonly frameCount: number | null;
  readonly #bytes: ByteInput;
  readonly #format: RawFormat;
  readonly #layout: FileLayout;
  readonly #frameLine = new Uint8Array(new ArrayBuffer(Y4M_FRAME.length));
  #index = 0;
  #failure: MediaError | undefined;
  #open = true;

  constructor(
    bytes: ByteInput,
    isY4m: boolean,
    format: RawFormat,
    video: Omit<VideoFormat, "format">,
    guessed: NameGuess = {},
  ) {
    const { becomes, layout } = rawFormats[format];
    this.name = bytes.name;
    this.video = { ...video, format: becomes };
    this.isY4m = isY4m;
    this.guessed = guessed;
    if (format !== becomes) this.convertedFrom = format;
    this.#bytes = bytes;
    this.#format = format;
    this.#layout = layout(video);
    const stride = this.#layout.sizeBytes + (isY4m ? Y4M_FRAME.length : 0);
    this.frameCount =
      bytes.sizeBytes === null ? null : Math.floor((bytes.sizeBytes - bytes.position) / stride);
  }

  read(into: Uint8Array): boolean | Promise<boolean> {
    const frameBytes = frameSizeBytes(this.video);
    if (into.length !== frameBytes)
      throw new RangeError(
        `a frame of ${this.name} is ${frameBytes} bytes; ${into.length} were given to fill`,
      );
    if (this.#failure) throw this.#failure;
    return this.#run(this.isY4m ? this.#readY4m(into) : this.#readPlanes(into, true));
  }

  [Symbol.dispose](): void {
    this.#open = false;
    this.#bytes[Symbol.dispose]();
  }

  /** Runs the steps; continues asynchronously from the first fill that returns a promise. */
  #run(steps: Steps, got?: number): boolean | Promise<boolean> {
    let step = got === undefined ? steps.next() : steps.next(got);
    while (!step.done) {
      const filled = this.#bytes.fill(step.value);
      if (typeof filled !== "number")
        return filled.then((count) => {
          // The memory may be gone by now, too.
          if (!this.#open) throw new MediaError(`${this.name} was closed while it was being read`);
          return this.#run(steps, count);
        });
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
      if (got < line.length) throw this.#truncated(got, line.length + this.#layout.sizeBytes);
      yield* this.#skipLine(at);
    }
    return yield* this.#readPlanes(into, false);
  }

  *#readPlanes(into: Uint8Array, mayEnd: boolean): Steps {
    const { sizeBytes, parts, finish } = this.#layout;
    let got = 0;
    for (const part of parts(into)) {
      const more = yield part;
      got += more;
      if (more < part.length) break;
    }
    if (got === 0 && mayEnd) return this.#end();
    if (got < sizeBytes) throw this.#truncated(got, sizeBytes);
    finish?.(into);
    this.#index++;
    return true;
  }

  /** Skips a frame line's parameters; none of them matters to a progressive encoder. */
  *#skipLine(at: number): Generator<Uint8Array, void, number> {
    const byte = new Uint8Array(new ArrayBuffer(1));
    for (let length = Y4M_FRAME.length; length < Y4M_LINE_LIMIT; length++) {
      const got = yield byte;
      if (got === 0) throw this.#truncated(length, Y4M_FRAME.length + this.#layout.sizeBytes);
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
    const { width, height } = this.video;
    return this.#fail(
      `${this.name} ends inside frame ${this.#index} (counted from 0): ${got} of its ${wanted} bytes are there. ` +
        (this.#changed() ||
          (this.isY4m
            ? "The file is cut short; write it again"
            : `The file is cut short, or its frames are not ${width}x${height} ${this.#format}: check its size and format`)),
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
