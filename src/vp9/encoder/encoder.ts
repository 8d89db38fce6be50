/** The encoder as a library: the shape of WebCodecs' VideoEncoder over a PCIe endpoint. */
import type { PciDevice } from "../../device/device.ts";
import { openDevice } from "../../device/open.ts";
import { EndpointDriver } from "../driver/driver.ts";
import { EncoderError } from "../driver/failure.ts";
import type { TransferPath } from "../driver/stream-memory.ts";
import { type EncoderConfig, oneOf, refuseUnknown } from "./encoder-config.ts";
import { EncoderStream } from "./encoder-stream.ts";
import {
  type EncodeOptions,
  type EncoderOptions,
  type EncoderStatistics,
  encodeOptionNames,
  type FrameBuffer,
  optionNames,
  type RawFrame,
} from "./options.ts";
import { checkConfig, type EncoderSupport, isConfigSupported, settingsOf } from "./support.ts";

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
  #stream: EncoderStream | undefined;
  /** Frames accepted, but not yet submitted to the device. */
  #waiting = 0;
  #flush: { readonly promise: Promise<void>; resolve(): void; reject(error: Error): void } | undefined;
  #collecting = false;
  #frames = 0;
  #deviceUs = 0;
  #codec = "";
  #inFlight = 0;

  /**
   * Whether `configure` would take the config, and what is known of it. No device is touched unless one is named: the limits
   * are those of the software model then, 4096x4096. Otherwise they are read from that device, whose stream goes on. Throws
   * TypeError for a config that is none; EncoderError, DeviceError.
   */
  static isConfigSupported(
    config: EncoderConfig,
    options: { readonly device?: string | PciDevice } = {},
  ): Promise<EncoderSupport> {
    return isConfigSupported(config, options.device);
  }

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
   * Sets up the stream; a running one is flushed first. Throws TypeError for a config that is none,
   * NotSupportedError (a DOMException) for a codec, layers or alpha that no device here has, RangeError,
   * EncoderError (naming the setting that the device refused), WindowTooSmall, DeviceError. After an error another
   * config may be tried.
   */
  async configure(config: EncoderConfig): Promise<void> {
    checkConfig(config);
    this.#check("unconfigured", "configured");
    const settings = settingsOf(config);
    const inFlight = this.#options.inFlight ?? 4;
    if (!Number.isInteger(inFlight) || inFlight < 1 || inFlight > 1023) {
      throw new RangeError(`inFlight is ${inFlight}; it must be 1 to 1023`);
    }
    this.#configuring = true;
    try {
      await this.#inTurn(() => this.#start(new EncoderStream(config, settings), inFlight));
    } finally {
      this.#configuring = false;
    }
  }

  async #start(stream: EncoderStream, inFlight: number): Promise<void> {
    if (this.#state === "configured") await (await this.#startFlush()).promise;
    this.#check("unconfigured", "configured");
    this.#state = "unconfigured";
    this.#stream?.end(new EncoderError("the encoder was reconfigured while this call waited for memory"));
    this.#driver.stop();
    await this.#driver.start(stream.settings, this.#options.path, inFlight);
    this.#check("unconfigured");
    this.#codec = this.#driver.codec;
    this.#inFlight = this.#driver.slots;
    stream.open(this.#inFlight);
    this.#stream = stream;
    this.#state = "configured";
  }

  /** Waits for memory that the device encodes from. It must be passed to encode. Throws what ended the encoder. */
  async acquireFrame(): Promise<FrameBuffer> {
    const stream = this.#readyStream();
    const slot = await stream.acquireSlot();
    stream.check();
    return stream.lend(slot, this.#driver.frame(slot));
  }

  /**
   * Encodes a frame. The promise resolves when the device has it; if too many are under way, that waits for
   * earlier frames. Frames are encoded in the order of the calls. Throws TypeError, RangeError, EncoderError,
   * DeviceError.
   */
  async encode(frame: RawFrame, options: EncodeOptions = {}): Promise<void> {
    const stream = this.#readyStream();
    refuseUnknown("encode's options", options, encodeOptionNames);
    const { bytes, buffer, times } = stream.take(frame);
    this.#waiting++;
    // Requested now, so that slots are assigned in the order of the calls, too.
    const slotGiven = buffer ? Promise.resolve(buffer.slot) : stream.acquireSlot();
    slotGiven.catch(() => {}); // told below, when its turn comes
    await this.#inTurn(async () => {
      let slot: number;
      try {
        slot = await slotGiven;
      } finally {
        this.#waiting--;
      }
      stream.check();
      if (!buffer) this.#driver.frame(slot).set(bytes);
      const { timestamp, duration, pts, ticks } = times;
      try {
        this.#driver.submit(slot, pts, ticks, options.keyFrame ?? false, { timestamp, duration });
      } catch (error) {
        this.#rescue();
        throw this.#fail(error);
      }
      void this.#collect();
    });
  }

  /** Resolves when `output` has received every frame encoded so far. Throws EncoderError, DeviceError. */
  async flush(): Promise<void> {
    this.#readyStream();
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

  #readyStream(): EncoderStream {
    this.#check("configured");
    if (this.#configuring) throw new EncoderError("the encoder is being configured; await that first");
    return this.#stream!;
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
    const stream = this.#stream!;
    stream.releaseSlot(slot);
    if (packet)
      this.#options.output({ type: key ? "key" : "delta", ...times, data: packet }, stream.nextMetadata());
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
    this.#stream?.end(error);
  }
}
