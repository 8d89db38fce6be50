/** The report of an encoding, and how its time was spent. */
import type { TransferPath } from "../driver/stream-memory.ts";
import type { EncodedChunk } from "./options.ts";

/** Milliseconds of each part of the work. */
export interface Portions {
  /** Opening the device and setting the stream up. */
  start: number;
  /** Reading frames. */
  read: number;
  /** Submitting them to the device. */
  submit: number;
  /** Waiting for the device. */
  wait: number;
  /** Taking its packets. */
  collect: number;
  /** Opening the output, and writing packets as far as frames waited for it. */
  write: number;
  /** Frames under way after the last one was read, and closing. */
  finish: number;
}

/** What was encoded, and how long it took. */
export interface EncodeReport {
  /** Frames whose packets are in the output. */
  frames: number;
  keyFrames: number;
  /** Frames that rate control dropped (dropFrame). */
  droppedFrames: number;
  /** Bytes of packets, without the container's. */
  packetBytes: number;
  /** From opening the device to the finished file. */
  wallMs: number;
  /** Where wallMs went. */
  portionsMs: Portions;
  /** From the first packet to the last, per frame after the first: the pace once all is set up. 0 for one frame. */
  steadyFrameMs: number;
  /** Time the device's codec worked. */
  deviceMs: number;
  /** From the first frame to the end of the last one written. */
  videoMs: number;
  codec: string;
  /** How frames reached the device; undefined if it was never opened. */
  path: TransferPath | undefined;
  /** Frames under way at once; fewer than asked for if the window holds fewer. */
  inFlight: number;
  missedInterrupts: number;
  /** The failures after which the device went on: their messages. */
  recoveries: readonly string[];
}

export function emptyReport(): EncodeReport {
  return {
    frames: 0,
    keyFrames: 0,
    droppedFrames: 0,
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
    recoveries: [],
  };
}

/** Counts a chunk that is in the output. */
export function countChunk(report: EncodeReport, { type, timestamp, duration, data }: EncodedChunk): void {
  report.frames++;
  if (type === "key") report.keyFrames++;
  report.packetBytes += data.byteLength;
  report.videoMs = (timestamp + duration) / 1000;
}

/** Divides time among the portions of a report. */
export class Stopwatch {
  readonly #portions: Portions;
  readonly #startMs = performance.now();
  #lapMs = this.#startMs;
  #collectedMs = 0;

  constructor(portions: Portions) {
    this.#portions = portions;
  }

  /**
   * Adds the time since the last call to this portion, except the time spent on taking packets: `collectMs`
   * is the total of that so far.
   */
  lap(portion: keyof Portions, collectMs: number): void {
    const nowMs = performance.now();
    const collectedMs = collectMs - this.#collectedMs;
    this.#portions.collect += collectedMs;
    this.#portions[portion] += nowMs - this.#lapMs - collectedMs;
    this.#collectedMs = collectMs;
    this.#lapMs = nowMs;
  }

  /** From the start to the last lap. */
  get totalMs(): number {
    return this.#lapMs - this.#startMs;
  }
}

/** The pace of successive events: the time from the first to the last, per event after the first. */
export class Pace {
  #count = 0;
  #firstMs = 0;
  #lastMs = 0;

  count(): void {
    this.#lastMs = performance.now();
    if (this.#count++ === 0) this.#firstMs = this.#lastMs;
  }

  /** 0 for fewer than two. */
  get eachMs(): number {
    return this.#count < 2 ? 0 : (this.#lastMs - this.#firstMs) / (this.#count - 1);
  }
}
