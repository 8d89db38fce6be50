/** The reading side of a stream's completion ring. It checks everything in a completion that can be checked. */
import {
  COMPLETION_BYTES,
  Completion,
  CompletionFlag,
  CompletionLayer,
  CompletionStatus,
  completionStatusName,
} from "../contract/rings.ts";
import { EncoderError } from "./failure.ts";
import type { StreamMemory } from "./stream-memory.ts";

/** Tag of a flush; a frame's tag is its slot. */
export const FLUSH_TAG = 0xffff_ffff;

/** A frame's times in microseconds, returned with its packet. */
export interface FrameTimes {
  readonly timestamp: number;
  readonly duration: number;
}

/** A submission that the device has not completed. */
interface UnderWay {
  /** A frame's slot, or FLUSH_TAG. */
  readonly tag: number;
  readonly pts: bigint;
  /** Number of the frame in the stream, from 1. */
  readonly frame: number;
  readonly mustBeKey: boolean;
  readonly times: FrameTimes;
}

/** A frame that the device has finished. */
export interface CompletedFrame {
  readonly slot: number;
  readonly times: FrameTimes;
  /** Undefined if rate control dropped the frame. */
  readonly packet: Uint8Array<ArrayBuffer> | undefined;
  readonly key: boolean;
  /** Its temporal layer, from 0. */
  readonly layer: number;
  /** Time the codec worked on it. */
  readonly busyUs: number;
}

function nameOf(tag: number): string {
  return tag === FLUSH_TAG ? "the flush" : `slot ${tag}`;
}

export class CompletionRing {
  readonly #spec: string;
  readonly #memory: StreamMemory;
  /** How many temporal layers frames may have. */
  readonly #layers: number;
  readonly #fence: () => void;
  /** In order of submission, which is also that of completion. */
  readonly #underWay: UnderWay[] = [];
  #frames = 0;
  #completed = 0;
  #hasPacket = false;
  /** A completion was invalid, or its frame was lost: the ones after it can't be used. */
  #spoiled = false;

  /** Clears the ring: an earlier stream may have left the sequence numbers that this one waits for. */
  constructor(spec: string, memory: StreamMemory, layers: number, fence: () => void) {
    this.#spec = spec;
    this.#memory = memory;
    this.#layers = layers;
    this.#fence = fence;
    for (let at = 0; at < COMPLETION_BYTES << memory.ringLog2; at += 4)
      memory.write32(memory.completionRing + at, 0);
  }

  /** Records a frame that is about to be submitted. */
  expectFrame(slot: number, pts: bigint, mustBeKey: boolean, times: FrameTimes): void {
    this.#underWay.push({ tag: slot, pts, frame: ++this.#frames, mustBeKey, times });
  }

  /** Records a flush that is about to be submitted, with PTS 0. */
  expectFlush(): void {
    const times = { timestamp: 0, duration: 0 };
    this.#underWay.push({ tag: FLUSH_TAG, pts: 0n, frame: this.#frames, mustBeKey: false, times });
  }

  /** Number of frames under way. */
  get frames(): number {
    return this.#underWay.filter(({ tag }) => tag !== FLUSH_TAG).length;
  }

  /** Names of the submissions under way, for messages. */
  get waitingFor(): string {
    return this.#underWay.map(({ tag }) => nameOf(tag)).join(", ");
  }

  /** Address of the next completion, if it is there. */
  #next(): number | undefined {
    const { completionRing, ringLog2 } = this.#memory;
    const entry = completionRing + (this.#completed % (1 << ringLog2)) * COMPLETION_BYTES;
    const sequence = this.#memory.read32(entry + Completion.SEQUENCE);
    return sequence === (this.#completed + 1) >>> 0 ? entry : undefined;
  }

  /** Whether `take` has a completion to give. */
  get ready(): boolean {
    return this.#next() !== undefined;
  }

  /**
   * Takes the next completion, if there is one; "flushed" for a flush. Throws EncoderError if the frame
   * failed or the completion is invalid; later calls return nothing.
   */
  take(): CompletedFrame | "flushed" | undefined {
    if (this.#spoiled) return undefined;
    const entry = this.#next();
    if (entry === undefined) return undefined;
    // The sequence number is written last, so the rest must be read after it.
    this.#fence();
    this.#completed = (this.#completed + 1) >>> 0;
    this.#spoiled = true;
    const completed = this.#read(entry);
    this.#spoiled = false;
    return completed;
  }

  #read(entry: number): CompletedFrame | "flushed" {
    const memory = this.#memory;
    const word = memory.read32(entry + Completion.STATUS);
    const [status, flags] = [word & 0xffff, word >>> 16];
    const { tag, frame, mustBeKey, times } = this.#submissionOf(entry, status);
    const packetBytes = memory.read32(entry + Completion.PACKET_BYTES);
    const ok = status === CompletionStatus.OK;
    if (status > CompletionStatus.DROPPED || (tag === FLUSH_TAG && !ok))
      throw this.#failed(tag, frame, status, packetBytes);
    const hasPacket = ok && tag !== FLUSH_TAG;
    if (hasPacket !== packetBytes > 0)
      throw this.#corrupt(`is ${completionStatusName(status)} and has a packet of ${packetBytes} bytes`);
    if (tag === FLUSH_TAG) return "flushed";
    const busyUs = memory.read32(entry + Completion.BUSY_US);
    if (!hasPacket) return { slot: tag, times, packet: undefined, key: false, layer: 0, busyUs };
    if (packetBytes > memory.packetBytes)
      throw this.#failed(tag, frame, CompletionStatus.OUTPUT_TOO_SMALL, packetBytes);
    const key = (flags & CompletionFlag.KEY) !== 0;
    if (!key && (mustBeKey || !this.#hasPacket))
      throw this.#corrupt(`has a delta frame, but frame ${frame} must be a key frame`);
    const layer = (flags >>> CompletionLayer.shift) & CompletionLayer.mask;
    if (layer >= this.#layers || (key && layer > 0))
      throw this.#corrupt(
        `has temporal layer ${layer}, but there are ${this.#layers}, and key frames are in 0`,
      );
    this.#hasPacket = true;
    return { slot: tag, times, packet: memory.packet(tag, packetBytes), key, layer, busyUs };
  }

  /**
   * The submission that a completion belongs to: the oldest one under way, or a later one that failed before
   * the codec had it. Throws EncoderError if it is neither.
   */
  #submissionOf(entry: number, status: number): UnderWay {
    const read32 = (field: number) => this.#memory.read32(entry + field);
    const tag = read32(Completion.TAG);
    const index = this.#underWay.findIndex((submitted) => submitted.tag === tag);
    const submitted = this.#underWay[index];
    if (!submitted) throw this.#corrupt(`names tag 0x${tag.toString(16)}, which is not in flight`);
    if (index > 0 && status <= CompletionStatus.DROPPED)
      throw this.#corrupt(`is for ${nameOf(tag)}, but ${nameOf(this.#underWay[0]!.tag)} is next`);
    const pts = (BigInt(read32(Completion.PTS + 4)) << 32n) | BigInt(read32(Completion.PTS));
    if (pts !== submitted.pts)
      throw this.#corrupt(`has PTS ${pts}, but ${nameOf(tag)} was submitted with ${submitted.pts}`);
    this.#underWay.splice(index, 1);
    return submitted;
  }

  #corrupt(what: string): EncoderError {
    return new EncoderError(
      `${this.#spec}: completion ${this.#completed} ${what}: the device or its memory is corrupt`,
    );
  }

  #failed(tag: number, frame: number, status: number, packetBytes: number): EncoderError {
    const what = tag === FLUSH_TAG ? "the flush" : `frame ${frame} of the stream`;
    const reason =
      status === CompletionStatus.OUTPUT_TOO_SMALL
        ? `its packet of ${packetBytes} bytes does not fit its buffer of ${this.#memory.packetBytes} bytes; lower the bitrate, or use the DMA path`
        : completionStatusName(status);
    return new EncoderError(`${this.#spec}: ${what} failed: ${reason}`);
  }
}
