/** From a source of frames to a file of packets: what encode.ts does. */

import type { PacketWriter } from "../../media/packet.ts";
import type { FrameSource } from "../../media/source.ts";
import { frameTimeUs, type VideoFormat } from "../../media/video.ts";
import type { TransferPath } from "../driver/stream-memory.ts";
import {
  type EncodedChunk,
  type Encoder,
  type EncoderOptions,
  type EncoderStatistics,
  openEncoder,
} from "./encoder.ts";
import type { EncoderConfig } from "./encoder-config.ts";

export interface EncodeFileOptions {
  readonly encoder: Omit<EncoderOptions, "output" | "error">;
  /** Size, format and times come from the source. */
  readonly config: Omit<EncoderConfig, keyof VideoFormat | "framerate">;
  /** Encode at most this many frames. */
  readonly frames?: number | undefined;
  /** Frames to make key frames, from 0. */
  readonly forceKey?: ReadonlySet<number>;
  /** Ends the input; what was read is still encoded and written. */
  readonly signal?: AbortSignal;
  /** Called once the stream is set up. */
  readonly onStart?: (statistics: EncoderStatistics) => void;
  /** Called after each packet. */
  readonly onProgress?: (report: EncodeReport) => void;
  /**
   * Told what is thrown afterwards, when the output is complete and the device still held: letting go of one that is
   * gone can take its guest down.
   */
  readonly onFailure?: (error: EncodeFileError) => Promise<void>;
}

export interface Portions {
  /** Opening the device and setting the stream up. */
  start: number;
  /** Reading frames. */
  read: number;
  /** Giving them to the device. */
  submit: number;
  /** Waiting for it. */
  wait: number;
  /** Taking its packets over. */
  collect: number;
  /** Opening the output, and writing packets as far as frames waited for it. */
  write: number;
  /** What was under way after the last frame, and closing. */
  finish: number;
}

export interface EncodeReport {
  /** Frames whose packets are in the output. */
  frames: number;
  keyFrames: number;
  /** Bytes of packets, without the container's. */
  packetBytes: number;
  /** From opening the device to the finished file. */
  wallMs: number;
  /** Where wallMs went. */
  portionsMs: Portions;
  /** From the first packet to the last, for each frame but the first: the pace once all is set up. 0 for one frame. */
  steadyFrameMs: number;
  /** Time the device's codec worked. */
  deviceMs: number;
  /** Of the first to the end of the last frame written. */
  videoMs: number;
  codec: string;
  /** How frames reached the device; undefined where it was never opened. */
  path: TransferPath | undefined;
  /** Frames under way at once; fewer than asked for where the window holds fewer. */
  inFlight: number;
  missedInterrupts: number;
}

/** An encoding that ended early. The output is valid and holds what `report` says. */
export class EncodeFileError extends Error {
  override readonly name = "EncodeFileError";
  readonly stage: "input" | "device" | "output";
  readonly report: EncodeReport;

  constructor(stage: EncodeFileError["stage"], report: EncodeReport, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.stage = stage;
    this.report = report;
  }
}

/**
 * What `work` gives, or undefined once the signal comes: then nobody waits for it any more. It is not stopped: a read
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

/** Opens the output; a FIFO waits for its reader, which the signal ends. */
async function open(
  openWriter: () => Promise<PacketWriter>,
  signal: AbortSignal,
  fail: (error: unknown) => void,
): Promise<PacketWriter | undefined> {
  try {
    return await untilAborted(openWriter(), signal);
  } catch (error) {
    fail(error);
    return undefined;
  }
}

/**
 * Encodes a source to its end and closes both it and the writer, which is opened when the device is ready and the first
 * frame read: whatever fails before that costs no existing file. Throws EncodeFileError.
 */
export async function encodeFile(
  source: FrameSource,
  openWriter: () => Promise<PacketWriter>,
  options: EncodeFileOptions,
): Promise<EncodeReport> {
  const startMs = performance.now();
  const report: EncodeReport = {
    frames: 0,
    keyFrames: 0,
    packetBytes: 0,
    wallMs: 0,
    portionsMs: { start: 0, read: 0, submit: 0, wait: 0, collect: 0, write: 0, finish: 0 },
    steadyFrameMs: 0,
    deviceMs: 0,
    videoMs: 0,
    codec: "",
    path: undefined,
    inFlight: 0,
    missedInterrupts: 0,
  };
  let lapMs = startMs;
  let encoder: Encoder | undefined;
  let collectedMs = 0;
  /** The time since the last call was this portion's, but for the packets that were taken over meanwhile. */
  const lap = (portion: keyof Portions) => {
    const nowMs = performance.now();
    const totalMs = encoder?.statistics.collectMs ?? 0;
    report.portionsMs.collect += totalMs - collectedMs;
    report.portionsMs[portion] += nowMs - lapMs - (totalMs - collectedMs);
    collectedMs = totalMs;
    lapMs = nowMs;
  };
  let packets = 0;
  let firstPacketMs = 0;
  let failure: EncodeFileError | undefined;
  /** Ends the input: the caller's signal, or a failure that came while the input was being waited for. */
  const ending = new AbortController();
  options.signal?.addEventListener("abort", () => ending.abort(), { once: true });
  if (options.signal?.aborted) ending.abort();
  const fail = (stage: EncodeFileError["stage"], error: unknown) => {
    failure ??= new EncodeFileError(stage, report, error);
    ending.abort();
  };
  /** The writes so far, one after the other. */
  let writing: Promise<void> = Promise.resolve();

  const count = ({ type, timestamp, duration, data }: EncodedChunk) => {
    report.frames++;
    if (type === "key") report.keyFrames++;
    report.packetBytes += data.byteLength;
    report.videoMs = (timestamp + duration) / 1000;
    options.onProgress?.(report);
  };
  let writer: PacketWriter | undefined;
  const output = (chunk: EncodedChunk) => {
    const nowMs = performance.now();
    if (packets++ === 0) firstPacketMs = nowMs;
    else report.steadyFrameMs = (nowMs - firstPacketMs) / (packets - 1);
    // What ended the input or the device does not spoil the packets of the frames before it.
    if (failure?.stage === "output" || !writer) return;
    const file = writer;
    const packet = { ...chunk, timestampUs: chunk.timestamp, durationUs: chunk.duration };
    writing = writing
      .then(() => file.write(packet))
      .then(() => count(chunk))
      .catch((error) => fail("output", error));
  };

  try {
    encoder = openEncoder({ ...options.encoder, output, error: (error) => fail("device", error) });
    const { width, height, format, fps, timebase } = source.video;
    await encoder.configure({ ...options.config, width, height, format, timebase, framerate: fps });
    lap("start");
    options.onStart?.(encoder.statistics);
    const last = options.frames ?? Number.POSITIVE_INFINITY;
    for (let index = 0; index < last && !ending.signal.aborted; index++) {
      const { data } = await encoder.acquireFrame();
      lap("wait");
      let read: boolean | undefined;
      try {
        read = await untilAborted(source.read(data), ending.signal);
      } catch (error) {
        fail("input", error);
      }
      lap("read");
      if (read === false && index === 0) fail("input", new Error(`${source.name} has no frame`));
      if (!read) break;
      writer ??= await open(openWriter, ending.signal, (error) => fail("output", error));
      if (!writer) break;
      lap("write");
      const timestamp = frameTimeUs(index, fps);
      const duration = frameTimeUs(index + 1, fps) - timestamp;
      await encoder.encode(
        { data, timestamp, duration },
        { keyFrame: options.forceKey?.has(index) ?? false },
      );
      lap("submit");
      await writing;
      lap("write");
    }
  } catch (error) {
    fail("device", error);
  }
  // A read that nobody waits for any more must not end up in memory that is given back below.
  source[Symbol.dispose]();
  // Whatever ended the input, the frames before it are finished and written.
  try {
    if (encoder?.state === "configured" && failure?.stage !== "output") await encoder.flush();
    await writing;
  } catch (error) {
    fail("device", error);
  }
  if (encoder) {
    const { codec, path, inFlight, deviceUs, missedInterrupts } = encoder.statistics;
    Object.assign(report, { codec, path, inFlight, deviceMs: deviceUs / 1000, missedInterrupts });
  }
  try {
    await writer?.close();
  } catch (error) {
    fail("output", error);
  }
  if (!failure) encoder?.close();
  lap("finish");
  report.wallMs = lapMs - startMs;
  if (!failure) return report;
  try {
    await options.onFailure?.(failure);
  } catch {
    // What ended the encoding is the one to tell.
  } finally {
    encoder?.close();
  }
  throw failure;
}
