/** The reading side of a stream's completion ring. It checks everything in a completion that can be checked. */
import { completionCheck, EntryBuffer } from "../contract/check.ts";
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

/** What may differ for one frame. */
export interface FrameControl {
  readonly forceKey?: boolean | undefined;
  /** 0 to 63. Needs interface 1.1. */
  readonly quantizer?: number | undefined;
  /** The target from this frame on. Needs interface 1.1. */
  readonly bitrateKbps?: number | undefined;
}

/** A frame, or a flush, that the device has been given. */
export interface SubmittedFrame extends FrameControl {
  /** A frame's slot, or FLUSH_TAG. */
  readonly tag: number;
  /** In ticks, like its duration. */
  readonly pts: bigint;
  readonly duration: number;
  readonly times: FrameTimes;
}

export const FLUSH: SubmittedFrame = {
  tag: FLUSH_TAG,
  pts: 0n,
  duration: 0,
  times: { timestamp: 0, duration: 0 },
};

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

/** The stream that a ring is of. */
export interface CompletionRingOptions {
  /** How many temporal layers frames may have. */
  readonly layers: number;
  /** Frames that earlier rings of the stream completed. */
  readonly framesBefore: number;
  /** Whether the device writes CHECK. */
  readonly hasCheck: boolean;
  readonly fence: () => void;
}

export class CompletionRing {
  readonly #spec: string;
  readonly #memory: StreamMemory;
  readonly #options: CompletionRingOptions;
  /** The completion that is being taken: each word is read once, because the device could change it. */
  readonly #entry = new EntryBuffer(COMPLETION_BYTES);
  /** In order of submission, which is also that of completion. */
  readonly #underWay: SubmittedFrame[] = [];
  /** The bitrate of the last completed frame that changed it. */
  bitrateKbps: number | undefined;
  /** Frames that it completed, with those before this ring. */
  #framesCompleted: number;
  #completed = 0;
  #hasPacket = false;
  /** A completion was invalid, or its frame was lost: the ones after it can't be used. */
  #spoiled = false;

  /** Clears the ring: an earlier stream may have left the sequence numbers that this one waits for. */
  constructor(spec: string, memory: StreamMemory, options: CompletionRingOptions) {
    this.#spec = spec;
    this.#memory = memory;
    this.#options = options;
    this.#framesCompleted = options.framesBefore;
    for (let at = 0; at < COMPLETION_BYTES << memory.ringLog2; at += 4)
      memory.write32(memory.completionRing + at, 0);
  }

  /** Records what is about to be submitted. */
  expect(submitted: SubmittedFrame): void {
    this.#underWay.push(submitted);
  }

  /** What the device has not completed, in order, and what it completed wrongly. */
  get underWay(): readonly SubmittedFrame[] {
    return this.#underWay;
  }

  /** Frames of the stream that are completed. */
  get framesCompleted(): number {
    return this.#framesCompleted;
  }

  /** Number of frames under way. */
  get frames(): number {
    return this.#framesBefore(this.#underWay.length);
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
    this.#options.fence();
    const { words } = this.#entry;
    for (let i = 0; i < words.length; i++) words[i] = this.#memory.read32(entry + 4 * i);
    this.#completed = (this.#completed + 1) >>> 0;
    this.#spoiled = true;
    const completed = this.#read();
    this.#spoiled = false;
    return completed;
  }

  #read(): CompletedFrame | "flushed" {
    const memory = this.#memory;
    const { view } = this.#entry;
    const status = view.getUint16(Completion.STATUS, true);
    const flags = view.getUint16(Completion.FLAGS, true);
    const index = this.#indexOf(status);
    const submitted = this.#underWay[index]!;
    const { tag, times } = submitted;
    /** Its number in the stream, from 1. */
    const frame = () => this.#framesCompleted + this.#framesBefore(index) + 1;
    const packetBytes = view.getUint32(Completion.PACKET_BYTES, true);
    const ok = status === CompletionStatus.OK;
    if (status > CompletionStatus.DROPPED || (tag === FLUSH_TAG && !ok))
      throw this.#failed(tag, frame(), status, packetBytes);
    const hasPacket = ok && tag !== FLUSH_TAG;
    if (hasPacket !== packetBytes > 0)
      throw this.#corrupt(`is ${completionStatusName(status)} and has a packet of ${packetBytes} bytes`);
    if (tag === FLUSH_TAG) {
      this.#check();
      this.#underWay.splice(index, 1);
      return "flushed";
    }
    const busyUs = view.getUint32(Completion.BUSY_US, true);
    if (!hasPacket) {
      this.#check();
      this.#done(index);
      return { slot: tag, times, packet: undefined, key: false, layer: 0, busyUs };
    }
    if (packetBytes > memory.packetBytes)
      throw this.#failed(tag, frame(), CompletionStatus.OUTPUT_TOO_SMALL, packetBytes);
    const key = (flags & CompletionFlag.KEY) !== 0;
    if (!key && (submitted.forceKey || !this.#hasPacket))
      throw this.#corrupt(`has a delta frame, but frame ${frame()} must be a key frame`);
    const layer = (flags >>> CompletionLayer.shift) & CompletionLayer.mask;
    const { layers } = this.#options;
    if (layer >= layers || (key && layer > 0))
      throw this.#corrupt(`has temporal layer ${layer}, but there are ${layers}, and key frames are in 0`);
    const packet = memory.packet(tag, packetBytes);
    this.#check(packet);
    this.#hasPacket = true;
    this.#done(index);
    return { slot: tag, times, packet, key, layer, busyUs };
  }

  /** Throws EncoderError if the entry, or its packet, is not what the device made its CHECK of. */
  #check(...packet: readonly Uint8Array[]): void {
    if (!this.#options.hasCheck) return;
    const check = completionCheck(this.#entry.bytes, packet);
    if (check !== this.#entry.view.getUint32(Completion.CHECK, true))
      throw this.#corrupt("or its packet is not what its CHECK was made of");
  }

  /**
   * Which submission a completion belongs to: the oldest one under way, or a later one that failed before
   * the codec had it. Throws EncoderError if it is neither.
   */
  #indexOf(status: number): number {
    const { view } = this.#entry;
    const tag = view.getUint32(Completion.TAG, true);
    const index = this.#underWay.findIndex((submitted) => submitted.tag === tag);
    const submitted = this.#underWay[index];
    if (!submitted) throw this.#corrupt(`names tag 0x${tag.toString(16)}, which is not in flight`);
    if (index > 0 && status <= CompletionStatus.DROPPED)
      throw this.#corrupt(`is for ${nameOf(tag)}, but ${nameOf(this.#underWay[0]!.tag)} is next`);
    const pts = view.getBigUint64(Completion.PTS, true);
    if (pts !== submitted.pts)
      throw this.#corrupt(`has PTS ${pts}, but ${nameOf(tag)} was submitted with ${submitted.pts}`);
    return index;
  }

  #framesBefore(index: number): number {
    let frames = 0;
    for (let i = 0; i < index; i++) if (this.#underWay[i]!.tag !== FLUSH_TAG) frames++;
    return frames;
  }

  #done(index: number): void {
    const [submitted] = this.#underWay.splice(index, 1);
    this.bitrateKbps = submitted?.bitrateKbps ?? this.bitrateKbps;
    this.#framesCompleted++;
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
