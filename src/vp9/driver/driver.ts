/**
 * The driver of the VP9 endpoint, from top to bottom: identify, start, submit, collect, stop. docs/encoder.md
 * documents the registers. The encoder defines frames and decides who waits for what.
 */
import { DeviceError, type Interrupt, type PciDevice } from "../../device/device.ts";
import { frameSizeBytes } from "../../media/video.ts";
import type { Registers } from "../../registers/access.ts";
import { valueName } from "../../registers/fields.ts";
import { registers } from "../contract/registers.ts";
import {
  type CompletedFrame,
  CompletionRing,
  FLUSH,
  FLUSH_TAG,
  type FrameControl,
  type FrameTimes,
  type SubmittedFrame,
} from "./completions.ts";
import { describeFailure, EncoderError } from "./failure.ts";
import { type Endpoint, identify } from "./identify.ts";
import { RemovalRequest } from "./removal-request.ts";
import {
  allocateHostMemory,
  openWindowMemory,
  type StreamMemory,
  type TransferPath,
} from "./stream-memory.ts";
import { type StreamSettings, writeSettings } from "./stream-settings.ts";
import { SubmissionWriter } from "./submission-writer.ts";

/** After this long without a sign of life the driver checks the device itself. */
const LOOK_MS = 100;
const ALL_ONES = 0xffff_ffff;
const { STATE } = registers.STATUS.fields;
const State = STATE.values;

/** A stream that is set up. */
interface DriverStream {
  readonly path: TransferPath;
  readonly inFlight: number;
  /** With the bitrate of the last frame that was completed. */
  settings: StreamSettings;
  memory: StreamMemory;
  ring: CompletionRing;
  /** What a restart submits again, until it has done so. */
  again: readonly SubmittedFrame[] | undefined;
}

/** Drives the endpoint frame by frame; `Encoder` is built on it. */
export class EndpointDriver implements Disposable {
  #endpoint: Endpoint;
  readonly #timeoutMs: number;
  readonly #writer = new SubmissionWriter();
  #running: DriverStream | undefined;
  /** Memory of devices that are gone: callers may still fill frames there. */
  readonly #left: Disposable[] = [];
  #isLeft = false;
  #interrupt: Interrupt | undefined;
  #removal: RemovalRequest | undefined;
  #submitted = 0;
  /** Completions found although no interrupt announced them. */
  missedInterrupts = 0;
  /** Time spent on taking completions and their packets. */
  collectMs = 0;
  /** Called when the kernel wants the device back, which waitForCompletion and restart throw, too. */
  onRequest: (error: DeviceError) => void = () => {};

  /** Checks that the device is the endpoint, and resets it. Throws EncoderError, DeviceError. */
  constructor(device: PciDevice, timeoutMs: number) {
    this.#endpoint = identify(device);
    this.#timeoutMs = timeoutMs;
    this.#command("RESET");
  }

  #command(name: keyof typeof registers.COMMAND.fields.CODE.values): void {
    this.#registers.COMMAND.writeFields({ CODE: registers.COMMAND.fields.CODE.values[name] });
  }

  get #device(): PciDevice {
    return this.#endpoint.device;
  }

  get #registers(): Registers<typeof registers> {
    return this.#endpoint.registers;
  }

  /** Whether the device takes a frame's quantizer, and a new bitrate while it runs. */
  get hasFrameControl(): boolean {
    return this.#endpoint.hasFrameControl;
  }

  /** The codec behind the endpoint, e.g. "libvpx 1.12.0". */
  get codec(): string {
    const { ID, MAJOR, MINOR, PATCH } = this.#registers.CODEC.readFields();
    return `${valueName(registers.CODEC.fields.ID, ID).toLowerCase()} ${MAJOR}.${MINOR}.${PATCH}`;
  }

  /** How many frames can be under way at once; known after start. */
  get slots(): number {
    return this.#stream.memory.slots;
  }

  get #stream(): DriverStream {
    if (!this.#running) throw new EncoderError(`${this.#device.spec}: no stream is set up`);
    return this.#running;
  }

  /** Sets up a stream and waits until the endpoint takes frames. Throws EncoderError, WindowTooSmall, DeviceError. */
  async start(settings: StreamSettings, path: TransferPath, inFlight: number): Promise<void> {
    const memory = this.#allocate(settings, path, inFlight);
    this.#running = {
      path,
      inFlight,
      settings,
      memory,
      ring: this.#ringIn(memory, settings),
      again: undefined,
    };
    this.#armInterrupts(path);
    await this.#launch(this.#running);
  }

  #allocate(settings: StreamSettings, path: TransferPath, inFlight: number): StreamMemory {
    const frameBytes = frameSizeBytes(settings);
    const device = this.#device;
    return path === "dma"
      ? allocateHostMemory(device, inFlight, frameBytes)
      : openWindowMemory(device.bars[1]!, this.#registers.WINDOW_SIZE.read(), inFlight, frameBytes);
  }

  #ringIn(memory: StreamMemory, { temporalLayers }: StreamSettings, framesBefore = 0): CompletionRing {
    const { device, hasCheck } = this.#endpoint;
    return new CompletionRing(device.spec, memory, {
      ...{ layers: temporalLayers, framesBefore, hasCheck },
      fence: () => device.fence(),
    });
  }

  /** Writes the settings and the rings, starts the stream and waits until it runs. */
  async #launch(stream: DriverStream): Promise<void> {
    const device = this.#device;
    const { settings, memory } = stream;
    writeSettings(this.#registers, device.spec, settings);
    this.#writeRings(memory);
    if (this.#interrupt) this.#registers.IRQ_ENABLE.writeFields({ COMPLETION: 1 });
    this.#submitted = 0;
    this.#command("START");
    const deadline = performance.now() + this.#timeoutMs;
    // If the stream is stopped during this wait, the caller that stops it reports that.
    while (this.#running === stream) {
      const state = this.#state();
      if (state === State.RUNNING) return;
      if (performance.now() >= deadline) {
        throw new EncoderError(
          `${device.spec}: waited ${this.#timeoutMs} ms for STATUS.STATE to be RUNNING; it is ${valueName(STATE, state)}`,
        );
      }
      await Bun.sleep(1);
    }
  }

  #writeRings(memory: StreamMemory): void {
    const r = this.#registers;
    r.SPACE.write(memory.space);
    r.SQ_LO.write(memory.submissionRing >>> 0);
    r.SQ_HI.write(Math.floor(memory.submissionRing / 2 ** 32));
    r.CQ_LO.write(memory.completionRing >>> 0);
    r.CQ_HI.write(Math.floor(memory.completionRing / 2 ** 32));
    r.RING_LOG2.write(memory.ringLog2);
  }

  /** Without an interrupt the driver polls the completion ring, as it does on the window path. */
  #armInterrupts(path: TransferPath): void {
    const device = this.#device;
    if (path === "dma" && !this.#interrupt && device.interruptCount("msi") > 0)
      this.#interrupt = device.enableInterrupts("msi", 1)[0];
    this.#removal ??= new RemovalRequest(device, (error) => this.onRequest(error));
  }

  /** The stream's state. Throws EncoderError if it failed or the device is gone. */
  #state(): number {
    const status = this.#registers.STATUS.read();
    const spec = this.#device.spec;
    if (status === ALL_ONES)
      throw new EncoderError(`${spec}: STATUS reads as all ones: the device has gone away`);
    if (status !== State.FAILED) return status;
    throw new EncoderError(`${spec}: ${describeFailure(this.#device.bars[0]!)}`);
  }

  /**
   * Resets the device after a failure, sets the stream up again, and submits what it had not completed: the first frame as a key
   * frame, the others as they were. Throws as start does; it can then be called again.
   */
  async restart(): Promise<void> {
    const stream = this.#stream;
    this.#removal?.check();
    this.#device.reset();
    await this.#goOn(stream);
  }

  /** Whether the device was left and not replaced. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  /** Lets go of a device that is gone: closing it leaves the frames in memory. Nothing but moveTo and stop may follow. */
  leave(): void {
    if (this.#isLeft) return;
    try {
      // A device that only is to be removed still works, and must not reach memory that is unmapped.
      this.#halt();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
    }
    if (this.#running) this.#left.push(this.#running.memory.detach());
    this.#isLeft = true;
    this.#disarm();
  }

  /** Goes on, as restart does, with the device in place of the one that was left. Throws as start and the constructor do. */
  async moveTo(device: PciDevice): Promise<void> {
    this.#endpoint = identify(device);
    this.#isLeft = false;
    // Opening it need not have reset it, and it may be the one that was left.
    this.#command("RESET");
    const stream = this.#running;
    if (!stream) return;
    const before = stream.memory;
    const memory = this.#allocate(stream.settings, stream.path, stream.inFlight);
    if (memory.slots < before.slots) {
      memory[Symbol.dispose]();
      throw new EncoderError(
        `${device.spec}: its window holds ${memory.slots} frames at once, and that of the device before held ${before.slots}`,
      );
    }
    const again = stream.again ?? stream.ring.underWay;
    for (const { tag } of again) if (tag !== FLUSH_TAG) memory.frame(tag).set(before.frame(tag));
    stream.memory = memory;
    this.#armInterrupts(stream.path);
    await this.#goOn(stream);
  }

  async #goOn(stream: DriverStream): Promise<void> {
    const { ring } = stream;
    const again = stream.again ?? ring.underWay;
    stream.again = again;
    const [first] = again;
    const bitrateKbps = first?.bitrateKbps ?? ring.bitrateKbps ?? stream.settings.bitrateKbps;
    stream.settings = { ...stream.settings, ...(bitrateKbps !== undefined && { bitrateKbps }) };
    stream.ring = this.#ringIn(stream.memory, stream.settings, ring.framesCompleted);
    await this.#launch(stream);
    // The stream was reset, closed or replaced during the wait.
    if (this.#running !== stream) return;
    for (const submitted of again) {
      const isFirst = submitted === first && submitted !== FLUSH;
      this.#submit(isFirst ? { ...submitted, forceKey: true } : submitted);
    }
    stream.again = undefined;
  }

  /** Memory for the frame of a slot, to fill before it is submitted. */
  frame(slot: number): Uint8Array<ArrayBuffer> {
    return this.#stream.memory.frame(slot);
  }

  /** Frames submitted, but not completed. */
  get framesUnderWay(): number {
    return this.#running?.ring.frames ?? 0;
  }

  /**
   * Hands a slot's frame to the device. `pts` and `duration` are in ticks; `times` are returned with the
   * packet. Throws DeviceError.
   */
  submit(slot: number, pts: number, duration: number, control: FrameControl, times: FrameTimes): void {
    this.#submit({ tag: slot, pts: BigInt(pts), duration, times, ...control });
  }

  #submit(submitted: SubmittedFrame): void {
    const { memory, ring } = this.#stream;
    // First: what fails from here on is submitted again by a restart.
    ring.expect(submitted);
    if (submitted.tag !== FLUSH_TAG) memory.carryFrame(submitted.tag);
    this.#writer.write(memory, this.#submitted, submitted, this.#endpoint.hasCheck);
    this.#submitted = (this.#submitted + 1) >>> 0;
    // The entry must be in memory before the device is told of it.
    this.#device.fence();
    this.#registers.SQ_TAIL.write(this.#submitted);
  }

  /**
   * Asks the device to finish everything submitted so far; `take` returns "flushed" once it has. Throws
   * DeviceError.
   */
  submitFlush(): void {
    this.#submit(FLUSH);
  }

  /**
   * Waits until `take` has a completion to give, or the device is restarted or left. Throws EncoderError if the time limit passes or the stream
   * failed, DeviceError if the device can't be reached.
   */
  async waitForCompletion(): Promise<void> {
    const startMs = performance.now();
    let lookedMs = startMs;
    let announced = true;
    this.#removal?.check();
    const stream = this.#stream;
    const { ring } = stream;
    while (!ring.ready) {
      const nowMs = performance.now();
      if (nowMs - startMs >= this.#timeoutMs) throw this.#timeOut();
      if (nowMs - lookedMs >= LOOK_MS) {
        const state = this.#state();
        if (state !== State.RUNNING)
          throw new EncoderError(
            `${this.#device.spec}: STATUS.STATE is ${valueName(STATE, state)}, but the stream is running: the device has reset itself`,
          );
        lookedMs = nowMs;
      }
      announced = await this.#pause(Math.min(LOOK_MS, startMs + this.#timeoutMs - nowMs));
      if (this.#running !== stream || stream.ring !== ring || this.#isLeft) return;
      this.#removal?.check();
    }
    if (!announced) this.missedInterrupts++;
  }

  /** Returns whether the interrupt arrived; always true when polling. */
  async #pause(limitMs: number): Promise<boolean> {
    if (this.#interrupt) return (await this.#interrupt.waitAsync(limitMs)) > 0;
    await Bun.sleep(1);
    return true;
  }

  #timeOut(): EncoderError {
    const state = valueName(STATE, this.#state());
    return new EncoderError(
      `${this.#device.spec}: waited ${this.#timeoutMs} ms for a completion of ${this.#stream.ring.waitingFor}; the device is ${state}, has taken ${this.#registers.SQ_HEAD.read()} of ${this.#submitted} submissions and completed ${this.#registers.CQ_TAIL.read()}: it hangs, or its codec is slower than this limit`,
    );
  }

  /**
   * Takes the next completion, if there is one; "flushed" for a flush. Use it in this turn of the event loop:
   * handling a failure in a later turn takes the completions after it. Throws EncoderError if the frame
   * failed or the completion is invalid; later calls return nothing. Throws DeviceError if the device can't
   * be reached.
   */
  take(): CompletedFrame | "flushed" | undefined {
    const startMs = performance.now();
    const completed = this.#stream.ring.take();
    if (completed) this.collectMs += performance.now() - startMs;
    return completed;
  }

  /** Ends the stream on the device. */
  #halt(): void {
    this.#command("STOP");
    // A read flushes the posted write: afterwards the device no longer touches the memory.
    this.#registers.STATUS.read();
  }

  /** Ends the stream and drops the frames under way. */
  stop(): void {
    const stream = this.#running;
    if (!stream) return;
    this.#running = undefined;
    try {
      if (!this.#isLeft) this.#halt();
    } finally {
      stream.memory[Symbol.dispose]();
      for (const memory of this.#left.splice(0)) memory[Symbol.dispose]();
    }
  }

  #disarm(): void {
    const [interrupt, removal] = [this.#interrupt, this.#removal];
    this.#interrupt = this.#removal = undefined;
    try {
      if (interrupt) this.#device.disableInterrupts("msi");
      removal?.[Symbol.dispose]();
    } catch (error) {
      // A device that is gone has none.
      if (!(error instanceof DeviceError)) throw error;
    } finally {
      interrupt?.[Symbol.dispose]();
    }
  }

  /** Stops the stream and releases the interrupts. Does not close the device. */
  [Symbol.dispose](): void {
    try {
      this.stop();
    } catch (error) {
      // A device that is gone has nothing to stop, and its last user got the error.
      if (!(error instanceof DeviceError)) throw error;
    } finally {
      this.#disarm();
    }
  }
}
