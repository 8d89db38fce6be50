/** The encoder as a library: the shape of WebCodecs' VideoEncoder over a PCIe endpoint. */
import type { PciDevice } from "../../device/device.ts";
import type { EndpointDriver } from "../driver/driver.ts";
import { EncoderError } from "../driver/failure.ts";
import type { TransferPath } from "../driver/stream-memory.ts";
import { EncodeQueue, EncoderEvents } from "./dequeue.ts";
import type { EncoderConfig } from "./encoder-config.ts";
import { EncoderStream } from "./encoder-stream.ts";
import { abortError, invalidState, isAbort, OutputFailed } from "./exceptions.ts";
import { MAX_IN_FLIGHT } from "./limits.ts";
import {
  type EncodedChunk,
  type EncodeOptions,
  type EncoderOptions,
  type EncoderStatistics,
  type FrameBuffer,
  quantizerOf,
  type RawFrame,
} from "./options.ts";
import type { OwnedDevice } from "./owned-device.ts";
import { Recovery } from "./recovery.ts";
import { checkConfig, type EncoderSupport, isConfigSupported, settingsOf } from "./support.ts";

/**
 * An encoder with the shape of WebCodecs' VideoEncoder. `openEncoder` makes one. Calls take effect in their order, awaited or
 * not. Each gives a promise, which rejects where WebCodecs throws; only reset and close are done when they return.
 */
export class Encoder extends EncoderEvents implements Disposable {
  readonly #options: EncoderOptions & { readonly path: TransferPath; readonly recover: number };
  readonly #driver: EndpointDriver;
  readonly #owned: OwnedDevice | undefined;
  #state: "unconfigured" | "configured" | "closed" = "unconfigured";
  #failure: Error | undefined;
  /** Resolves when the device has been told of all calls so far. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Rises when all that is under way is dropped: by reset, by close and by a failure. `#dropped` is the reason. */
  #epoch = 0;
  #dropped: Error | undefined;
  /** The stream of the last configure, which may have to wait for its turn. */
  #stream: EncoderStream | undefined;
  /** The stream that the device runs. */
  #running: EncoderStream | undefined;
  readonly #queue = new EncodeQueue(() => this.dispatchEvent(new Event("dequeue")));
  #flush: PromiseWithResolvers<void> | undefined;
  readonly #recovery: Recovery;
  #collecting = false;
  #frames = 0;
  #droppedFrames = 0;
  #deviceUs = 0;
  #codec = "";
  #inFlight = 0;
  /** Called on "dequeue": `encodeQueueSize` went down. */
  ondequeue: ((event: Event) => void) | null = null;

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
    options: EncoderOptions & { readonly path: TransferPath; readonly recover: number },
    driver: EndpointDriver,
    owned: OwnedDevice | undefined,
  ) {
    super();
    this.addEventListener("dequeue", (event) => this.ondequeue?.(event));
    this.#options = options;
    this.#driver = driver;
    this.#recovery = new Recovery(driver, owned, options.recover, () => this.#state !== "closed");
    // While frames are under way, #collect finds it.
    driver.onRequest = (error) => void (this.#collecting || this.#recover(error, this.#epoch));
    this.#owned = owned;
  }

  /** "closed" after a failure, too; but the device is held until close. */
  get state(): "unconfigured" | "configured" | "closed" {
    return this.#state;
  }

  /** Frames given to encode that the device has not yet; it works on `inFlight` others at most. */
  get encodeQueueSize(): number {
    return this.#queue.size;
  }

  get statistics(): EncoderStatistics {
    return {
      codec: this.#codec,
      path: this.#options.path,
      inFlight: this.#inFlight,
      frames: this.#frames,
      droppedFrames: this.#droppedFrames,
      deviceUs: this.#deviceUs,
      collectMs: this.#driver.collectMs,
      missedInterrupts: this.#driver.missedInterrupts,
      recoveries: this.#recovery.reasons,
    };
  }

  /**
   * Sets up the stream; a running one is flushed first, unless only the bitrate and the frame rate change, which takes effect
   * with the next frame, without a key frame. Throws TypeError for a config that is none,
   * NotSupportedError (a DOMException) for a codec, layers or alpha that no device here has, RangeError,
   * EncoderError (naming the setting that the device refused), WindowTooSmall, DeviceError. After an error another
   * config may be tried.
   */
  configure(config: EncoderConfig): Promise<void> {
    let stream: EncoderStream;
    let { inFlight } = this.#options;
    try {
      checkConfig(config);
      this.#check("unconfigured", "configured");
      stream = new EncoderStream(config, settingsOf(config));
      inFlight ??= stream.defaultInFlight;
      if (!Number.isInteger(inFlight) || inFlight < 1 || inFlight > MAX_IN_FLIGHT)
        throw new RangeError(`inFlight is ${inFlight}; it must be 1 to ${MAX_IN_FLIGHT}`);
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#driver.hasFrameControl && this.#stream?.changeRates(stream)) return Promise.resolve();
    this.#state = "configured";
    this.#stream = stream;
    const started = this.#inTurn(() => this.#start(stream, inFlight));
    started.catch((error) => {
      stream.end(error);
      // Known to the one who dropped it, so it need not be awaited.
      if (isAbort(error)) told.catch(() => {});
    });
    const told = started.then();
    return told;
  }

  async #start(stream: EncoderStream, inFlight: number): Promise<void> {
    const epoch = this.#epoch;
    try {
      if (this.#running) await (await this.#startFlush(this.#running)).promise;
      await this.#recovery.ready();
      this.#checkSince(epoch);
      this.#running?.end(new EncoderError("the encoder was reconfigured while this call waited for memory"));
      this.#running = undefined;
      this.#driver.stop();
      await this.#driver.start(stream.settings, this.#options.path, inFlight);
    } catch (error) {
      this.#checkSince(epoch);
      if (this.#stream === stream) this.#state = "unconfigured";
      throw error;
    }
    this.#checkSince(epoch);
    this.#codec = this.#driver.codec;
    this.#inFlight = this.#driver.slots;
    this.#running = stream;
    stream.open(this.#inFlight);
  }

  /** Waits for memory that the device encodes from. It must be passed to encode. Throws what ended the encoder. */
  async acquireFrame(): Promise<FrameBuffer> {
    const stream = this.#configured();
    const slot = await stream.acquireSlot();
    stream.check();
    return stream.lend(slot, this.#driver.frame(slot));
  }

  /**
   * Encodes a frame. The promise resolves when the device has it; if too many are under way, that waits for
   * earlier frames. Frames are encoded in the order of the calls. Throws TypeError, RangeError, EncoderError,
   * DeviceError, InvalidStateError, AbortError. With an `error` callback, which hears of failures, the promise of a
   * valid frame need not be awaited.
   */
  encode(frame: RawFrame, options: EncodeOptions = {}): Promise<void> {
    let submit: () => Promise<void>;
    try {
      submit = this.#accept(frame, options);
    } catch (error) {
      return Promise.reject(error);
    }
    const submitted = this.#inTurn(submit);
    return this.#options.error ? submitted : submitted.then();
  }

  /** Checks a frame and queues it; gives what its turn does. */
  #accept(frame: RawFrame, options: EncodeOptions): () => Promise<void> {
    const stream = this.#configured();
    const quantizer = quantizerOf(options);
    if (quantizer !== undefined && !this.#driver.hasFrameControl)
      throw new EncoderError("this device takes no quantizer for a frame (CAPS.FRAME_CONTROL); leave it out");
    const { bytes, buffer, times, bitrateKbps } = stream.take(frame);
    const control = { forceKey: options.keyFrame, quantizer, bitrateKbps };
    const epoch = this.#epoch;
    this.#queue.add();
    // Requested now, so that slots are assigned in the order of the calls, too.
    const slotGiven = buffer ? Promise.resolve(buffer.slot) : stream.acquireSlot();
    slotGiven.catch(() => {}); // told below, when its turn comes
    return async () => {
      let slot: number;
      try {
        slot = await slotGiven;
        while (this.#recovery.underWay) await this.#recovery.underWay;
        stream.check();
      } finally {
        if (epoch === this.#epoch) this.#queue.remove();
      }
      const place = this.#driver.frame(slot);
      // A buffer that was lent before the device was lost has its own memory.
      if (bytes !== place) place.set(bytes);
      const { timestamp, duration, pts, ticks } = times;
      try {
        this.#driver.submit(slot, pts, ticks, control, { timestamp, duration });
      } catch (error) {
        this.#rescue();
        this.#checkSince(epoch);
        const failure = await this.#recover(error, epoch);
        if (failure) throw failure;
        this.#checkSince(epoch);
      }
      void this.#collect();
    };
  }

  /** Resolves when `output` has received every frame encoded so far. Throws as encode does. */
  async flush(): Promise<void> {
    const stream = this.#configured();
    const { promise } = await this.#inTurn(() => this.#startFlush(stream));
    await promise;
  }

  /** Tells the device to flush, after the previous flush: the ring has room for one at a time. */
  async #startFlush(stream: EncoderStream): Promise<{ readonly promise: Promise<void> }> {
    await this.#flush?.promise;
    while (this.#recovery.underWay) await this.#recovery.underWay;
    stream.check();
    const flush = Promise.withResolvers<void>();
    this.#flush = flush;
    try {
      this.#driver.submitFlush();
      void this.#collect();
    } catch (error) {
      const epoch = this.#epoch;
      this.#rescue();
      if (epoch !== this.#epoch) return flush;
      await this.#recover(error, epoch);
      void this.#collect();
    }
    return flush;
  }

  /** Runs calls one after the other, in their order. Its promise need not be awaited. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const epoch = this.#epoch;
    const done = this.#turn.then(() => {
      this.#checkSince(epoch);
      return act();
    });
    this.#turn = done.catch(() => {});
    return done;
  }

  /**
   * Drops the stream, the frames under way and the calls that wait, which reject with AbortError; no chunk comes
   * after it. configure begins again. Throws InvalidStateError after close, and what ended the encoder.
   */
  reset(): void {
    this.#check("unconfigured", "configured");
    this.#drop(abortError("the encoder was reset"));
    this.#state = "unconfigured";
    try {
      this.#driver.stop();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** As reset, for good, and releases the device; required after a failure, too. Harmless when repeated. */
  close(): void {
    if (this.#state !== "closed") this.#drop(abortError("the encoder was closed"));
    this.#state = "closed";
    try {
      this.#driver[Symbol.dispose]();
    } finally {
      this.#owned?.[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #check(...allowed: readonly string[]): void {
    if (this.#failure) throw this.#failure;
    if (!allowed.includes(this.#state))
      throw invalidState(`the encoder is ${this.#state}, not ${allowed.join(" or ")}`);
  }

  #configured(): EncoderStream {
    this.#check("configured");
    return this.#stream!;
  }

  /** Throws what dropped all since. */
  #checkSince(epoch: number): void {
    if (epoch !== this.#epoch) throw this.#dropped;
  }

  /** Collects completions while any are due; only one call runs at a time. */
  async #collect(): Promise<void> {
    if (this.#collecting) return;
    this.#collecting = true;
    for (let epoch = this.#epoch; this.#running && (this.#driver.framesUnderWay > 0 || this.#flush); ) {
      try {
        epoch = this.#epoch;
        if (this.#recovery.underWay) {
          await this.#recovery.underWay;
          continue;
        }
        if (this.#deliverNext()) continue;
        try {
          await this.#driver.waitForCompletion();
        } catch (error) {
          // The memory that this waited in may be freed, and another stream may run.
          if (epoch !== this.#epoch) continue;
          this.#rescue();
          if (epoch === this.#epoch) throw error;
        }
      } catch (error) {
        if (error instanceof OutputFailed) this.#fail(error.cause);
        else await this.#recover(error, epoch);
      }
    }
    this.#collecting = false;
  }

  /** Makes the device go on after a failure, or fails the encoder, without a wait if nothing can help; returns with what. */
  async #recover(error: unknown, epoch: number): Promise<Error | undefined> {
    if (!this.#recovery.mayHelp(error)) return this.#fail(error);
    const isWanted = () => epoch === this.#epoch;
    return await this.#recovery.from(error, isWanted, (failure) => this.#fail(failure));
  }

  /** Takes and delivers the next completion, in one turn; false if there is none. Throws as the driver's take. */
  #deliverNext(): boolean {
    const stream = this.#running;
    const completed = stream && this.#driver.take();
    if (completed === undefined) return false;
    if (completed === "flushed") {
      const flush = this.#flush;
      this.#flush = undefined;
      flush?.resolve();
      return true;
    }
    const { slot, times, packet, key, layer, busyUs } = completed;
    this.#frames++;
    this.#deviceUs += busyUs;
    stream!.releaseSlot(slot);
    if (!packet) this.#droppedFrames++;
    else {
      const chunk: EncodedChunk = { type: key ? "key" : "delta", ...times, data: packet };
      OutputFailed.guard(() => this.#options.output(chunk, stream!.nextMetadata(layer)));
    }
    return true;
  }

  /** Delivers the frames that a device completed before it failed: they are good. */
  #rescue(): void {
    try {
      while (this.#deliverNext());
    } catch (error) {
      if (error instanceof OutputFailed) this.#fail(error.cause);
    }
  }

  #fail(cause: unknown): Error {
    const error = cause instanceof Error ? cause : new EncoderError(String(cause));
    if (this.#failure || this.#state === "closed") return this.#failure ?? error;
    this.#failure = error;
    this.#drop(error);
    this.#state = "closed";
    this.#options.error?.(error);
    return error;
  }

  /** Ends all that is under way: no chunk comes after it, and whoever waits gets the error. */
  #drop(error: Error): void {
    this.#epoch++;
    this.#dropped = error;
    this.#stream?.end(error);
    this.#running?.end(error);
    this.#stream = this.#running = undefined;
    this.#flush?.promise.catch(() => {});
    this.#flush?.reject(error);
    this.#flush = undefined;
    this.#queue.clear();
  }
}
