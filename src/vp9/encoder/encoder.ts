/** The encoder as a library: the shape of WebCodecs' VideoEncoder over a PCIe endpoint. */
import type { PciDevice } from "../../device/device.ts";
import { openDevice } from "../../device/open.ts";
import { type Rational, toTicks } from "../../media/video.ts";
import { EndpointDriver, type StreamSettings } from "../driver/driver.ts";
import { EncoderError } from "../driver/failure.ts";
import type { TransferPath } from "../driver/stream-memory.ts";
import { type EncoderConfig, frameRate, oneOf, refuseUnknown, toStreamSettings } from "./encoder-config.ts";
import {
  type EncodeOptions,
  type EncoderOptions,
  type EncoderStatistics,
  encodeOptionNames,
  FrameBuffer,
  optionNames,
  type RawFrame,
} from "./options.ts";

interface Waiter {
  resolve(slot: number): void;
  reject(error: Error): void;
}

/** The device that is opened by default. */
export const DEFAULT_DEVICE = "model:vp9";

/** Opens the encoder on a device. Throws TypeError, RangeError, DeviceError, EncoderError. */
export function openEncoder(options: EncoderOptions): Encoder {
  refuseUnknown("openEncoder's options", options, optionNames);
  oneOf("path", options.path, ["dma", "window"]);
  if (typeof options.output !== "function")
    throw new TypeError("openEncoder needs output, a function that receives each chunk");
  const spec = options.device ?? DEFAULT_DEVICE;
  const { timeoutMs = 10_000 } = options;
  // Each frame costs a register write, the doorbell. Posted writes don't wait for a reply.
  const device = typeof spec === "string" ? openDevice(spec, { timeoutMs, postWrites: true }) : spec;
  const owned = typeof spec === "string" ? device : undefined;
  try {
    const path = options.path ?? (device.hasDma ? "dma" : "window");
    return new Encoder({ ...options, path }, new EndpointDriver(device, timeoutMs), owned);
  } catch (error) {
    owned?.[Symbol.dispose]();
    throw error;
  }
}

/** An encoder with the shape of WebCodecs' VideoEncoder. `openEncoder` makes one. Every call but `close` is awaited. */
export class Encoder implements Disposable {
  readonly #options: EncoderOptions & { readonly path: TransferPath };
  readonly #driver: EndpointDriver;
  readonly #ownedDevice: PciDevice | undefined;
  #state: "unconfigured" | "configured" | "closed" = "unconfigured";
  #failure: Error | undefined;
  /** Resolves when the device has been told of all calls so far. */
  #turn: Promise<unknown> = Promise.resolve();
  #configuring = false;
  #settings: StreamSettings | undefined;
  /** For the next frame. */
  #newBitrateKbps: number | undefined;
  #frameDurationUs = 0;
  #timebase: Rational = { num: 1, den: 1000 };
  #frameBytes = 0;
  #lastPts = -1;
  #freeSlots: number[] = [];
  readonly #lent = new Set<FrameBuffer>();
  /** The bytes of every buffer ever lent: they may be unmapped, so they are not read. */
  readonly #everLent = new WeakSet<Uint8Array>();
  readonly #waiters: Waiter[] = [];
  /** Frames accepted, but not yet submitted to the device. */
  #waiting = 0;
  #flush: { readonly promise: Promise<void>; resolve(): void; reject(error: Error): void } | undefined;
  #collecting = false;
  #frames = 0;
  #deviceUs = 0;
  #codec = "";
  #inFlight = 0;

  /** Use openEncoder. */
  constructor(
    options: EncoderOptions & { readonly path: TransferPath },
    driver: EndpointDriver,
    ownedDevice: PciDevice | undefined,
  ) {
    this.#options = options;
    this.#driver = driver;
    this.#ownedDevice = ownedDevice;
  }

  /** "closed" after a failure, too; but the device is held until close. */
  get state(): "unconfigured" | "configured" | "closed" {
    return this.#state;
  }

  /** Frames accepted, but not yet given to `output`. */
  get encodeQueueSize(): number {
    return this.#waiting + (this.#state === "configured" ? this.#driver.framesUnderWay : 0);
  }

  get statistics(): EncoderStatistics {
    return {
      codec: this.#codec,
      path: this.#options.path,
      inFlight: this.#inFlight,
      frames: this.#frames,
      deviceUs: this.#deviceUs,
      collectMs: this.#driver.collectMs,
      missedInterrupts: this.#driver.missedInterrupts,
    };
  }

  /**
   * Sets up the stream; a running one is flushed first. Throws TypeError, RangeError, EncoderError (naming
   * the setting that the device refused), WindowTooSmall, DeviceError.
   */
  async configure(config: EncoderConfig): Promise<void> {
    this.#check("unconfigured", "configured");
    const settings = toStreamSettings(config);
    const inFlight = this.#options.inFlight ?? 4;
    if (!Number.isInteger(inFlight) || inFlight < 1 || inFlight > 1023) {
      throw new RangeError(`inFlight is ${inFlight}; it must be 1 to 1023`);
    }
    this.#configuring = true;
    try {
      await this.#inTurn(() => this.#start(config, settings, inFlight));
    } finally {
      this.#configuring = false;
    }
  }

  /** Whether only rates change, which takes effect with the next frame, without a key frame. */
  #changesRatesOnly(settings: StreamSettings): boolean {
    const old = this.#settings;
    if (this.#state !== "configured" || !old || settings.bitrateKbps === undefined) return false;
    const { bitrateKbps, fps } = settings;
    const differs = bitrateKbps !== old.bitrateKbps || !Bun.deepEquals(fps, old.fps);
    return differs && Bun.deepEquals({ ...old, bitrateKbps, fps }, settings) && this.#driver.hasFrameControl;
  }

  async #start(config: EncoderConfig, settings: StreamSettings, inFlight: number): Promise<void> {
    const { num, den } = frameRate(config);
    if (this.#changesRatesOnly(settings)) {
      this.#newBitrateKbps = settings.bitrateKbps;
      this.#settings = settings;
      this.#frameDurationUs = (1_000_000 * den) / num;
      return;
    }
    if (this.#state === "configured") await (await this.#startFlush()).promise;
    this.#check("unconfigured", "configured");
    this.#state = "unconfigured";
    this.#lent.clear();
    this.#driver.stop();
    for (const waiter of this.#waiters.splice(0)) {
      waiter.reject(new EncoderError("the encoder was reconfigured while this call waited for memory"));
    }
    await this.#driver.start(settings, this.#options.path, inFlight);
    this.#check("unconfigured");
    this.#codec = this.#driver.codec;
    this.#inFlight = this.#driver.slots;
    this.#frameDurationUs = (1_000_000 * den) / num;
    this.#settings = settings;
    this.#newBitrateKbps = undefined;
    this.#timebase = settings.timebase;
    this.#lastPts = -1;
    this.#frameBytes = this.#driver.frame(0).byteLength;
    this.#freeSlots = Array.from({ length: this.#inFlight }, (_, slot) => slot);
    this.#state = "configured";
  }

  /** Waits for memory that the device encodes from. It must be passed to encode. Throws what ended the encoder. */
  async acquireFrame(): Promise<FrameBuffer> {
    this.#checkReady();
    const slot = await this.#acquireSlot();
    this.#check("configured");
    const buffer = new FrameBuffer(slot, this.#driver.frame(slot));
    this.#lent.add(buffer);
    this.#everLent.add(buffer.data);
    return buffer;
  }

  /**
   * Encodes a frame. The promise resolves when the device has it; if too many are under way, that waits for
   * earlier frames. Frames are encoded in the order of the calls. Throws TypeError, RangeError, EncoderError,
   * DeviceError.
   */
  async encode(frame: RawFrame, options: EncodeOptions = {}): Promise<void> {
    this.#checkReady();
    refuseUnknown("encode's options", options, encodeOptionNames);
    const buffer = frame.data instanceof FrameBuffer ? frame.data : undefined;
    const bytes = buffer?.data ?? (frame.data as Uint8Array);
    if (buffer ? !this.#lent.has(buffer) : this.#everLent.has(bytes))
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
    const quantizer = this.#quantizer(options);
    const times = this.#times(frame);
    if (buffer) this.#lent.delete(buffer);
    this.#waiting++;
    // Requested now, so that slots are assigned in the order of the calls, too.
    const slotGiven = buffer ? Promise.resolve(buffer.slot) : this.#acquireSlot();
    slotGiven.catch(() => {}); // told below, when its turn comes
    await this.#inTurn(async () => {
      let slot: number;
      try {
        slot = await slotGiven;
      } finally {
        this.#waiting--;
      }
      this.#check("configured");
      if (!buffer) this.#driver.frame(slot).set(bytes);
      const { timestamp, duration, pts, ticks } = times;
      const control = { forceKey: options.keyFrame, quantizer, bitrateKbps: this.#newBitrateKbps };
      this.#newBitrateKbps = undefined;
      try {
        this.#driver.submit(slot, pts, ticks, control, { timestamp, duration });
      } catch (error) {
        this.#rescue();
        throw this.#fail(error);
      }
      void this.#collect();
    });
  }

  /** Throws TypeError, RangeError, or EncoderError if the device has none. */
  #quantizer({ vp9 = {} }: EncodeOptions): number | undefined {
    refuseUnknown("encode's option vp9", vp9, { quantizer: true });
    const { quantizer } = vp9;
    if (quantizer === undefined) return undefined;
    if (!Number.isInteger(quantizer) || quantizer < 0 || quantizer > 63)
      throw new RangeError(`quantizer is ${quantizer}; it must be a whole number from 0 to 63`);
    if (!this.#driver.hasFrameControl)
      throw new EncoderError("this device takes no quantizer for a frame (CAPS.FRAME_CONTROL); leave it out");
    return quantizer;
  }

  /** A frame's times, in microseconds and in ticks. Throws RangeError if the device could not take them. */
  #times(frame: RawFrame) {
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

  /** Resolves when `output` has received every frame encoded so far. Throws EncoderError, DeviceError. */
  async flush(): Promise<void> {
    this.#checkReady();
    const { promise } = await this.#inTurn(() => this.#startFlush());
    await promise;
  }

  /** Tells the device to flush, after the previous flush: the ring has room for one at a time. */
  async #startFlush(): Promise<{ readonly promise: Promise<void> }> {
    await this.#flush?.promise;
    this.#check("configured");
    const flush = Promise.withResolvers<void>();
    this.#flush = flush;
    try {
      this.#driver.submitFlush();
      void this.#collect();
    } catch (error) {
      this.#rescue();
      this.#fail(error);
    }
    return flush;
  }

  /** Runs calls one after the other, in their order. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** Drops frames under way and releases the device; required after a failure, too. Harmless when repeated. */
  close(): void {
    if (this.#state !== "closed") this.#end(new EncoderError("the encoder was closed"));
    try {
      this.#driver[Symbol.dispose]();
    } finally {
      this.#ownedDevice?.[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #check(...allowed: readonly string[]): void {
    if (this.#failure) throw this.#failure;
    if (!allowed.includes(this.#state))
      throw new EncoderError(`the encoder is ${this.#state}, not ${allowed.join(" or ")}`);
  }

  #checkReady(): void {
    this.#check("configured");
    if (this.#configuring) throw new EncoderError("the encoder is being configured; await that first");
  }

  #acquireSlot(): Promise<number> {
    const slot = this.#waiters.length === 0 ? this.#freeSlots.shift() : undefined;
    if (slot !== undefined) return Promise.resolve(slot);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Collects completions while any are due; only one call runs at a time. */
  async #collect(): Promise<void> {
    if (this.#collecting) return;
    this.#collecting = true;
    try {
      while (this.#state === "configured" && (this.#driver.framesUnderWay > 0 || this.#flush)) {
        if (this.#deliverNext()) continue;
        try {
          await this.#driver.waitForCompletion();
        } catch (error) {
          this.#rescue();
          throw error;
        }
      }
    } catch (error) {
      // Not a failure if the memory that this waits in was freed.
      if (this.#state === "configured") this.#fail(error);
    } finally {
      this.#collecting = false;
    }
  }

  /** Takes and delivers the next completion, in one turn; false if there is none. Throws as the driver's take. */
  #deliverNext(): boolean {
    const completed = this.#driver.take();
    if (completed === undefined) return false;
    if (completed === "flushed") {
      const flush = this.#flush;
      this.#flush = undefined;
      flush?.resolve();
      return true;
    }
    const { slot, times, packet, key, busyUs } = completed;
    this.#frames++;
    this.#deviceUs += busyUs;
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve(slot);
    else this.#freeSlots.push(slot);
    if (packet) this.#options.output({ type: key ? "key" : "delta", ...times, data: packet });
    return true;
  }

  /** Delivers the frames that a device completed before it failed: they are good. */
  #rescue(): void {
    try {
      while (this.#state === "configured" && this.#deliverNext());
    } catch {
      // The failure being handled is the one to report.
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
    this.#lent.clear();
  }
}
