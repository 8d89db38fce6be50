/** One stream of an encoder: from its configuration to the next one, or to the encoder's end. */
import { frameSizeBytes, type Rational, toTicks } from "../../media/video.ts";
import { EncoderError } from "../driver/failure.ts";
import type { StreamSettings } from "../driver/stream-settings.ts";
import { type DecoderConfig, decoderConfigOf, type EncodedChunkMetadata } from "./decoder-config.ts";
import { type EncoderConfig, frameRate } from "./encoder-config.ts";
import { FrameBuffer, type RawFrame } from "./options.ts";

/** A frame's times: in microseconds, and as the device counts them. */
export interface SubmissionTimes {
  readonly timestamp: number;
  readonly duration: number;
  readonly pts: number;
  readonly ticks: number;
}

/** Frames under way by default: small ones take the codec less time than it takes to hand the next one over. */
const LEAST_IN_FLIGHT = 4;
const MOST_IN_FLIGHT = 16;
const IN_FLIGHT_BYTES = 1024 * 1024;

/** The bytes of every buffer ever lent: they may be unmapped, so they are not read. */
const everLent = new WeakSet<Uint8Array>();

export class EncoderStream {
  #settings: StreamSettings;
  readonly #decoderConfig: DecoderConfig;
  readonly #frameBytes: number;
  #frameDurationUs: number;
  /** For the next frame. */
  #newBitrateKbps: number | undefined;
  readonly #timebase: Rational;
  #lastPts = -1;
  #described = false;
  readonly #freeSlots: number[] = [];
  readonly #waiters: PromiseWithResolvers<number>[] = [];
  readonly #lent = new Set<FrameBuffer>();
  #end: Error | undefined;

  constructor(config: EncoderConfig, settings: StreamSettings) {
    this.#settings = settings;
    this.#decoderConfig = decoderConfigOf(config, settings);
    this.#frameBytes = frameSizeBytes(settings);
    const { num, den } = frameRate(config);
    this.#frameDurationUs = (1_000_000 * den) / num;
    this.#timebase = settings.timebase;
  }

  get settings(): StreamSettings {
    return this.#settings;
  }

  /** Frames under way at once if the caller gives no number. */
  get defaultInFlight(): number {
    const fitting = Math.floor(IN_FLIGHT_BYTES / this.#frameBytes);
    return Math.max(LEAST_IN_FLIGHT, Math.min(fitting, MOST_IN_FLIGHT));
  }

  /** Takes on the bitrate and the frame rate of a stream that differs in nothing else; false if it does, or if this one ended. */
  changeRates({ settings, frameDurationUs }: EncoderStream): boolean {
    const { bitrateKbps, fps } = settings;
    if (this.#end || bitrateKbps === undefined || Bun.deepEquals(settings, this.#settings)) return false;
    if (!Bun.deepEquals({ ...this.#settings, bitrateKbps, fps }, settings)) return false;
    this.#settings = settings;
    this.#newBitrateKbps = bitrateKbps;
    this.#frameDurationUs = frameDurationUs;
    return true;
  }

  /** A frame's duration if it has none of its own. */
  get frameDurationUs(): number {
    return this.#frameDurationUs;
  }

  /** The device takes frames now, in this many slots: those who wait already get theirs. */
  open(slots: number): void {
    for (let slot = 0; slot < slots; slot++) this.releaseSlot(slot);
  }

  /** Ends the stream: whoever waits for its memory gets the error, and its buffers are invalid. */
  end(error: Error): void {
    this.#end ??= error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    this.#lent.clear();
  }

  /** Throws what ended the stream. */
  check(): void {
    if (this.#end) throw this.#end;
  }

  /** Waits for a slot; those who wait get one in the order of their calls. Throws what ended the stream. */
  acquireSlot(): Promise<number> {
    if (this.#end) return Promise.reject(this.#end);
    const slot = this.#waiters.length === 0 ? this.#freeSlots.shift() : undefined;
    if (slot !== undefined) return Promise.resolve(slot);
    const waiter = Promise.withResolvers<number>();
    this.#waiters.push(waiter);
    return waiter.promise;
  }

  releaseSlot(slot: number): void {
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve(slot);
    else this.#freeSlots.push(slot);
  }

  /** A slot's memory, for the caller to fill. */
  lend(slot: number, data: Uint8Array<ArrayBuffer>): FrameBuffer {
    const buffer = new FrameBuffer(slot, data);
    this.#lent.add(buffer);
    everLent.add(data);
    return buffer;
  }

  /**
   * Takes a frame as its turn is to be encoded: its bytes, its buffer if it has one, which is lent no longer, and its times.
   * Throws EncoderError, RangeError.
   */
  take(frame: RawFrame): {
    bytes: Uint8Array;
    buffer: FrameBuffer | undefined;
    times: SubmissionTimes;
    /** The new target, with the first frame after it changed. */
    bitrateKbps: number | undefined;
  } {
    const buffer = frame.data instanceof FrameBuffer ? frame.data : undefined;
    const bytes = buffer?.data ?? (frame.data as Uint8Array);
    if (buffer ? !this.#lent.has(buffer) : everLent.has(bytes))
      throw new EncoderError(
        buffer
          ? "this frame's memory was already given to encode; acquire another"
          : "these bytes belong to a FrameBuffer; give encode the buffer itself",
      );
    if (bytes.byteLength !== this.#frameBytes) {
      throw new RangeError(
        `a frame of ${bytes.byteLength} bytes; the configured size needs ${this.#frameBytes}`,
      );
    }
    const times = this.#times(frame);
    if (buffer) this.#lent.delete(buffer);
    const bitrateKbps = this.#newBitrateKbps;
    this.#newBitrateKbps = undefined;
    return { bytes, buffer, times, bitrateKbps };
  }

  /** Throws RangeError if the device could not take them. */
  #times(frame: RawFrame): SubmissionTimes {
    const { timestamp, duration = this.#frameDurationUs } = frame;
    if (!(timestamp >= 0 && duration >= 0 && timestamp + duration <= Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(
        `a frame at ${timestamp} for ${duration}: both are microseconds, 0 or more, and together below 2^53`,
      );
    }
    const { num, den } = this.#timebase;
    const pts = toTicks(timestamp, this.#timebase);
    const ticks = Math.max(1, toTicks(timestamp + duration, this.#timebase) - pts);
    if (pts <= this.#lastPts) {
      throw new RangeError(
        `timestamp ${timestamp} is not at least one tick (${num}/${den} s) after the previous frame's`,
      );
    }
    if (ticks > 0xffff_ffff)
      throw new RangeError(
        `duration ${duration} is ${ticks} ticks (${num}/${den} s); a frame can last at most 2^32 - 1`,
      );
    this.#lastPts = pts;
    return { timestamp, duration, pts, ticks };
  }

  /** What `output` is told with the next chunk. */
  nextMetadata(temporalLayerId: number): EncodedChunkMetadata {
    const svc = this.#settings.temporalLayers > 1 ? { svc: { temporalLayerId } } : {};
    if (this.#described) return svc;
    this.#described = true;
    return { decoderConfig: this.#decoderConfig, ...svc };
  }
}
