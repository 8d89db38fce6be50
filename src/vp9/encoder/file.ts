/** Encodes a source of frames into a file of packets, for encode.ts. */

import type { PacketWriter } from "../../media/packet.ts";
import type { FrameSource } from "../../media/source.ts";
import { frameSizeBytes, frameTimeUs, type VideoFormat } from "../../media/video.ts";
import { type Remedy, remediesOf } from "../../remedy/remedy.ts";
import type { Encoder } from "./encoder.ts";
import type { EncoderConfig } from "./encoder-config.ts";
import { openEncoder } from "./open-encoder.ts";
import type { EncoderOptions, EncoderStatistics } from "./options.ts";
import { PacketSink } from "./packet-sink.ts";
import { countChunk, type EncodeReport, emptyReport, Pace, type Portions, Stopwatch } from "./report.ts";

/** How long an output may still take to be opened after the encoding's end. */
const OPENED_MS = 500;

/** Options for `encodeFile`. */
export interface EncodeFileOptions {
  readonly encoder: Omit<EncoderOptions, "output" | "error">;
  /** Size, format and times come from the source, and so does the color space if it is not given here. */
  readonly config: Omit<EncoderConfig, Exclude<keyof VideoFormat, "colorSpace"> | "framerate">;
  /** Stop after this many frames of the source, skipped ones included. */
  readonly frames?: number | undefined;
  /** Leave out this many frames at the start; those after them keep their times. */
  readonly skip?: number | undefined;
  /** Frames to make key frames, from 0. */
  readonly forceKey?: ReadonlySet<number>;
  /** Ends the input; frames already read are still encoded and written. */
  readonly signal?: AbortSignal;
  /** Called once the stream is set up. */
  readonly onStart?: (statistics: EncoderStatistics) => void;
  /** Called after each packet. */
  readonly onProgress?: (report: EncodeReport) => void;
  /**
   * Called before the error is thrown, with the output complete and the device still held: releasing a device
   * that is gone can take its guest down.
   */
  readonly onFailure?: (error: EncodeFileError) => Promise<void>;
}

/** An encoding that ended early. The output is valid and holds what `report` says. */
export class EncodeFileError extends Error {
  override readonly name = "EncodeFileError";
  readonly stage: "input" | "device" | "output";
  readonly report: EncodeReport;
  /** What to do about it. */
  readonly remedies: readonly Remedy[];

  constructor(stage: EncodeFileError["stage"], report: EncodeReport, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.stage = stage;
    this.report = report;
    this.remedies = remediesOf(cause);
  }
}

/**
 * The result of `work`, or undefined once the signal aborts. `work` is then abandoned, not stopped: a read
 * from a pipe ends when the pipe does.
 */
export function untilAborted<T>(work: T | Promise<T>, signal: AbortSignal): T | Promise<T | undefined> {
  if (!(work instanceof Promise)) return work;
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const giveUp = () => resolve(undefined);
  signal.addEventListener("abort", giveUp);
  if (signal.aborted) giveUp();
  work.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  return promise;
}

/**
 * Encodes a source to its end and closes it and the writer. The writer is opened once the device is ready and
 * the first frame is read, so an earlier failure destroys no existing file. Throws EncodeFileError.
 */
export async function encodeFile(
  source: FrameSource,
  openWriter: () => Promise<PacketWriter>,
  options: EncodeFileOptions,
): Promise<EncodeReport> {
  const { skip = 0 } = options;
  const report = emptyReport();
  const stopwatch = new Stopwatch(report.portionsMs);
  const pace = new Pace();
  const end = new EncodingEnd(report, options.signal);
  const sink = new PacketSink(
    (chunk) => {
      countChunk(report, chunk);
      options.onProgress?.(report);
    },
    (error) => end.fail("output", error),
  );
  let encoder: Encoder | undefined;
  const lap = (portion: keyof Portions) => stopwatch.lap(portion, encoder?.statistics.collectMs ?? 0);

  /** Reads the next frame into the device's memory; false if the input or the encoding has ended. */
  const readFrame = async (into: Uint8Array<ArrayBuffer>, index: number): Promise<boolean> => {
    try {
      const read = await untilAborted(source.read(into), end.signal);
      if (read === false && index <= skip)
        throw new Error(
          index === 0
            ? `${source.name} has no frame`
            : `${source.name} has ${index} frames, and ${skip} were to be skipped`,
        );
      return read ?? false;
    } catch (error) {
      end.fail("input", error);
      return false;
    }
  };
  /**
   * Opens the output. A FIFO waits for its reader; the end of the encoding ends that wait, a moment later: a file that is
   * emptied already must be completed, too.
   */
  const openOutput = async (): Promise<void> => {
    try {
      const opening = openWriter();
      const writer =
        (await untilAborted(opening, end.signal)) ?? (await Promise.race([opening, Bun.sleep(OPENED_MS)]));
      if (writer) sink.open(writer);
    } catch (error) {
      sink.fail(error);
    }
  };

  try {
    encoder = openEncoder({
      ...options.encoder,
      output: (chunk) => {
        pace.count();
        sink.take(chunk);
      },
      error: (error) => end.fail("device", error),
    });
    const { width, height, format, fps, timebase } = source.video;
    const { colorSpace = source.video.colorSpace } = options.config;
    const shape = { width, height, format, timebase, framerate: fps, colorSpace };
    await encoder.configure({ ...options.config, ...shape });
    lap("start");
    options.onStart?.(encoder.statistics);
    const last = options.frames ?? Number.POSITIVE_INFINITY;
    const skipped = skip > 0 ? new Uint8Array(new ArrayBuffer(frameSizeBytes(source.video))) : undefined;
    for (let index = 0; index < last && !end.signal.aborted; index++) {
      if (skipped && index < skip) {
        if (!(await readFrame(skipped, index))) break;
        continue;
      }
      const frame = await encoder.acquireFrame();
      lap("wait");
      const read = await readFrame(frame.data, index);
      lap("read");
      if (!read) break;
      if (!sink.isOpen) await openOutput();
      if (!sink.isOpen) break;
      lap("write");
      const timestamp = frameTimeUs(index, fps);
      const duration = frameTimeUs(index + 1, fps) - timestamp;
      const keyFrame = options.forceKey?.has(index) ?? false;
      await encoder.encode({ data: frame, timestamp, duration }, { keyFrame });
      lap("submit");
      await sink.drain();
      lap("write");
    }
  } catch (error) {
    end.fail("device", error);
  }
  // An abandoned read must not write to memory that is released below.
  source[Symbol.dispose]();
  // Whatever ended the input, the frames before it are finished and written.
  try {
    if (encoder?.state === "configured" && end.failure?.stage !== "output") await encoder.flush();
  } catch (error) {
    end.fail("device", error);
  }
  await sink.drain();
  if (encoder) {
    const { deviceUs, codec, path, inFlight, droppedFrames, missedInterrupts, recoveries } =
      encoder.statistics;
    const deviceMs = deviceUs / 1000;
    Object.assign(report, { codec, path, inFlight, droppedFrames, deviceMs, missedInterrupts, recoveries });
  }
  await sink.close();
  if (!end.failure) encoder?.close();
  lap("finish");
  report.wallMs = stopwatch.totalMs;
  report.steadyFrameMs = pace.eachMs;
  if (!end.failure) return report;
  try {
    await options.onFailure?.(end.failure);
  } catch {
    // The failure that ended the encoding is the one to report.
  } finally {
    encoder?.close();
  }
  throw end.failure;
}

/** Ends an encoding early: on the caller's signal, or on the first failure, even while waiting for input. */
class EncodingEnd {
  readonly #report: EncodeReport;
  readonly #controller = new AbortController();
  failure: EncodeFileError | undefined;

  constructor(report: EncodeReport, signal: AbortSignal | undefined) {
    this.#report = report;
    signal?.addEventListener("abort", () => this.#controller.abort(), { once: true });
    if (signal?.aborted) this.#controller.abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  fail(stage: EncodeFileError["stage"], error: unknown): void {
    this.failure ??= new EncodeFileError(stage, this.#report, error);
    this.#controller.abort();
  }
}
