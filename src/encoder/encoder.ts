/** The encoder as a library: the shape of WebCodecs' VideoEncoder over a PCIe endpoint. */
import type { PciDevice } from "../device/device.ts";
import { openDevice } from "../device/open.ts";
import { type Rational, toTicks } from "../media/video.ts";
import { type EncoderConfig, frameRate, toStreamSettings } from "./config.ts";
import { EncoderError, EndpointDriver } from "./driver.ts";
import type { TransferPath } from "./memory.ts";

export interface EncoderOptions {
  /** As openDevice takes it, or a device that stays the caller's. Default "model:vp9". */
  readonly device?: string | PciDevice;
  /** How frames reach the device. Default "dma". */
  readonly path?: TransferPath;
  /** Frames under way at once, 1 to 1023; more hide more of the time between frames. Default 4. */
  readonly inFlight?: number;
  /** How long a frame or a flush may take before the device counts as hung. Default 10,000. */
  readonly timeoutMs?: number;
  /** Takes each chunk, in the order of the frames. */
  readonly output: (chunk: EncodedChunk) => void;
  /** Told once when the encoder fails; whatever waits is rejected with the same error. */
  readonly error?: (error: Error) => void;
}

/** One compressed frame. */
export interface EncodedChunk {
  readonly type: "key" | "delta";
  /** Microseconds, as the frame was submitted with. */
  readonly timestamp: number;
  readonly duration: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** A frame to encode. `data` may be reused once encode's promise is resolved. */
export interface RawFrame {
  /** Exactly width x height in the configured format. */
  readonly data: Uint8Array;
  /** Microseconds; must rise by at least a tick (EncoderConfig.timebase) from frame to frame. */
  readonly timestamp: number;
  /** Microseconds. Default: one frame at the configured rate. */
  readonly duration?: number;
}

export interface EncodeOptions {
  /** Make this a key frame. */
  readonly keyFrame?: boolean;
}

/** Memory that the device encodes from. Fill `data`, then pass it to encode as the frame's data: nothing is copied. */
export interface FrameBuffer {
  readonly data: Uint8Array<ArrayBuffer>;
}

export interface EncoderStatistics {
  readonly codec: string;
  readonly inFlight: number;
  readonly frames: number;
  /** Time the device's codec worked. */
  readonly deviceUs: number;
  readonly missedInterrupts: number;
}

interface Submitted {
  readonly timestamp: number;
  readonly duration: number;
}

interface Waiter {
  resolve(slot: number): void;
  reject(error: Error): void;
}

/** Opens the encoder on a device. Throws DeviceError, EncoderError. */
export function openEncoder(options: EncoderOptions): Encoder {
  const spec = options.device ?? "model:vp9";
  const device = typeof spec === "string" ? openDevice(spec) : spec;
  const owned = typeof spec === "string" ? device : undefined;
  try {
    return new Encoder(options, new EndpointDriver(device, options.timeoutMs ?? 10_000), owned);
  } catch (error) {
    owned?.[Symbol.dispose]();
    throw error;
  }
}

export class Encoder implements Disposable {
  readonly #options: EncoderOptions;
  readonly #driver: EndpointDriver;
  readonly #ownedDevice: PciDevice | undefined;
  #state: "unconfigured" | "configured" | "closed" = "unconfigured";
  #failure: Error | undefined;
  #frameDurationUs = 0;
  #timebase: Rational = { num: 1, den: 1000 };
  #frameBytes = 0;
  #freeSlots: number[] = [];
  readonly #lent = new Map<Uint8Array, number>();
  readonly #waiters: Waiter[] = [];
  readonly #submitted = new Map<number, Submitted>();
  #flush: { readonly promise: Promise<void>; resolve(): void; reject(error: Error): void } | undefined;
  #collecting = false;
  #frames = 0;
  #deviceUs = 0;
  #codec = "";
  #inFlight = 0;

  /** Use openEncoder. */
  constructor(options: EncoderOptions, driver: EndpointDriver, ownedDevice: PciDevice | undefined) {
    this.#options = options;
    this.#driver = driver;
    this.#ownedDevice = ownedDevice;
  }

  get state(): "unconfigured" | "configured" | "closed" {
    return this.#state;
  }

  /** Frames accepted, but not yet given to `output`. */
  get encodeQueueSize(): number {
    return this.#submitted.size;
  }

  get statistics(): EncoderStatistics {
    return {
      codec: this.#codec,
      inFlight: this.#inFlight,
      frames: this.#frames,
      deviceUs: this.#deviceUs,
      missedInterrupts: this.#driver.missedInterrupts,
    };
  }

  /**
   * Sets the stream up; a stream that runs is flushed first. Throws RangeError, EncoderError (naming the setting that
   * the device refused), WindowTooSmall, DeviceError.
   */
  async configure(config: EncoderConfig): Promise<void> {
    if (this.#state === "configured") await this.flush();
    this.#check("unconfigured", "configured");
    const settings = toStreamSettings(config);
    const inFlight = this.#options.inFlight ?? 4;
    if (!Number.isInteger(inFlight) || inFlight < 1 || inFlight > 1023) {
      throw new RangeError(`inFlight is ${inFlight}; it must be 1 to 1023`);
    }
    this.#driver.stop();
    this.#state = "unconfigured";
    await this.#driver.start(settings, this.#options.path ?? "dma", inFlight);
    this.#codec = this.#driver.codec;
    this.#inFlight = this.#driver.slots;
    const { num, den } = frameRate(config);
    this.#frameDurationUs = (1_000_000 * den) / num;
    this.#timebase = settings.timebase;
    this.#frameBytes = this.#driver.frame(0).byteLength;
    this.#freeSlots = Array.from({ length: this.#inFlight }, (_, slot) => slot);
    this.#state = "configured";
  }

  /** Waits for memory that the device encodes from. It must be given to encode. Throws what ended the encoder. */
  async acquireFrame(): Promise<FrameBuffer> {
    const slot = await this.#acquireSlot();
    const data = this.#driver.frame(slot);
    this.#lent.set(data, slot);
    return { data };
  }

  /**
   * Encodes a frame; the promise resolves when the device has it, which waits for earlier frames when too many are
   * under way. Frames are encoded in the order of the calls. Throws RangeError, EncoderError, DeviceError.
   */
  async encode(frame: RawFrame, options: EncodeOptions = {}): Promise<void> {
    this.#check("configured");
    if (frame.data.byteLength !== this.#frameBytes) {
      throw new RangeError(
        `a frame of ${frame.data.byteLength} bytes; the configured size needs ${this.#frameBytes}`,
      );
    }
    let slot = this.#lent.get(frame.data);
    if (slot === undefined) {
      slot = await this.#acquireSlot();
      this.#driver.frame(slot).set(frame.data);
    }
    this.#lent.delete(frame.data);
    const { timestamp } = frame;
    const duration = frame.duration ?? this.#frameDurationUs;
    const pts = toTicks(timestamp, this.#timebase);
    this.#submitted.set(slot, { timestamp, duration });
    try {
      this.#driver.submit(
        slot,
        pts,
        Math.max(1, toTicks(timestamp + duration, this.#timebase) - pts),
        options.keyFrame ?? false,
      );
    } catch (error) {
      throw this.#fail(error);
    }
    void this.#collect();
  }

  /** Resolves when `output` has had every frame that was encoded so far. Throws EncoderError, DeviceError. */
  flush(): Promise<void> {
    this.#check("configured");
    if (this.#flush) return this.#flush.promise.then(() => this.flush());
    this.#flush = Promise.withResolvers<void>();
    const { promise } = this.#flush;
    try {
      this.#driver.submitFlush();
      void this.#collect();
    } catch (error) {
      this.#fail(error);
    }
    return promise;
  }

  /** Drops what is under way, and lets go of the device. Harmless when repeated. */
  close(): void {
    if (this.#state === "closed") return;
    this.#end(new EncoderError("the encoder was closed"));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #check(...allowed: readonly string[]): void {
    if (this.#failure) throw this.#failure;
    if (!allowed.includes(this.#state))
      throw new EncoderError(`the encoder is ${this.#state}, not ${allowed.join(" or ")}`);
  }

  #acquireSlot(): Promise<number> {
    this.#check("configured");
    const slot = this.#waiters.length === 0 ? this.#freeSlots.shift() : undefined;
    if (slot !== undefined) return Promise.resolve(slot);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Collects completions while any are due; runs once at a time. */
  async #collect(): Promise<void> {
    if (this.#collecting) return;
    this.#collecting = true;
    try {
      while (this.#state === "configured" && (this.#submitted.size > 0 || this.#flush)) {
        const completed = await this.#driver.collect();
        if (this.#state !== "configured") return;
        if (completed === "flushed") {
          const flush = this.#flush;
          this.#flush = undefined;
          flush?.resolve();
          continue;
        }
        const { slot, packet, key, busyUs } = completed;
        const frame = this.#submitted.get(slot)!;
        this.#submitted.delete(slot);
        this.#frames++;
        this.#deviceUs += busyUs;
        const waiter = this.#waiters.shift();
        if (waiter) waiter.resolve(slot);
        else this.#freeSlots.push(slot);
        if (packet) this.#options.output({ type: key ? "key" : "delta", ...frame, data: packet });
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#collecting = false;
    }
  }

  #fail(cause: unknown): Error {
    const error = cause instanceof Error ? cause : new EncoderError(String(cause));
    if (this.#failure) return this.#failure;
    this.#failure = error;
    this.#end(error);
    this.#options.error?.(error);
    return error;
  }

  #end(error: Error): void {
    this.#state = "closed";
    this.#flush?.reject(error);
    this.#flush = undefined;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    this.#submitted.clear();
    this.#driver[Symbol.dispose]();
    this.#ownedDevice?.[Symbol.dispose]();
  }
}
