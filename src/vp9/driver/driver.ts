/**
 * The driver of the VP9 endpoint, from top to bottom: identify, start, submit, collect, stop. docs/encoder.md
 * documents the registers. The encoder defines frames and decides who waits for what.
 */
import { DeviceError, type Interrupt, type PciDevice } from "../../device/device.ts";
import { frameSizeBytes } from "../../media/video.ts";
import { openRegisters, type Registers } from "../../registers/access.ts";
import { valueName } from "../../registers/fields.ts";
import { EntryBuffer, submissionCheck } from "../contract/check.ts";
import { CHECK_MINOR, INTERFACE_MAJOR, MAGIC, registers, SETTINGS_MINOR } from "../contract/registers.ts";
import { Opcode, SUBMISSION_BYTES, Submission, SubmitFlag } from "../contract/rings.ts";
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
import {
  allocateHostMemory,
  openWindowMemory,
  type StreamMemory,
  type TransferPath,
} from "./stream-memory.ts";
import { type StreamSettings, writeSettings } from "./stream-settings.ts";

/** After this long without a sign of life the driver checks the device itself. */
const LOOK_MS = 100;
const ALL_ONES = 0xffff_ffff;
const { STATE } = registers.STATUS.fields;
const State = STATE.values;

function setAddress(view: DataView, offset: number, address: number): void {
  view.setUint32(offset, address >>> 0, true);
  view.setUint32(offset + 4, Math.floor(address / 2 ** 32), true);
}

/** Drives the endpoint frame by frame; `Encoder` is built on it. */
export class EndpointDriver implements Disposable {
  readonly #device: PciDevice;
  readonly #registers: Registers<typeof registers>;
  readonly #timeoutMs: number;
  /** Whether the device takes a frame's quantizer, and a new bitrate while it runs. */
  readonly hasFrameControl: boolean;
  /** Whether rings have CHECK. */
  readonly #hasCheck: boolean;
  readonly #entry = new EntryBuffer(SUBMISSION_BYTES);
  #settings: StreamSettings | undefined;
  #memory: StreamMemory | undefined;
  #interrupt: Interrupt | undefined;
  #submitted = 0;
  #completions: CompletionRing | undefined;
  /** Completions found although no interrupt announced them. */
  missedInterrupts = 0;
  /** Time spent on taking completions and their packets. */
  collectMs = 0;

  /** Checks that the device is the endpoint, and resets it. Throws EncoderError, DeviceError. */
  constructor(device: PciDevice, timeoutMs: number) {
    this.#device = device;
    this.#timeoutMs = timeoutMs;
    const bar = device.bars[0];
    if (!bar?.sizeBytes)
      throw new EncoderError(`${device.spec}: it has no BAR0, so it is not the VP9 encoder`);
    this.#registers = openRegisters(registers, bar);
    const magic = this.#registers.MAGIC.read();
    if (magic === ALL_ONES)
      throw new EncoderError(
        `${device.spec}: every register reads as all ones: the device has gone away, or its memory decode is off`,
      );
    if (magic !== MAGIC) {
      throw new EncoderError(
        `${device.spec}: MAGIC reads 0x${magic.toString(16)}, not 0x${MAGIC.toString(16)}: this is not the VP9 encoder`,
      );
    }
    const { MAJOR, MINOR } = this.#registers.VERSION.readFields();
    if (MAJOR !== INTERFACE_MAJOR) {
      throw new EncoderError(
        `${device.spec}: its interface is ${MAJOR}.${MINOR}; this driver supports ${INTERFACE_MAJOR}`,
      );
    }
    this.hasFrameControl = MINOR >= SETTINGS_MINOR && this.#registers.CAPS.readFields().FRAME_CONTROL === 1;
    this.#hasCheck = MINOR >= CHECK_MINOR;
    this.#registers.COMMAND.writeFields({ CODE: registers.COMMAND.fields.CODE.values.RESET });
  }

  /** The codec behind the endpoint, e.g. "libvpx 1.12.0". */
  get codec(): string {
    const { ID, MAJOR, MINOR, PATCH } = this.#registers.CODEC.readFields();
    return `${valueName(registers.CODEC.fields.ID, ID).toLowerCase()} ${MAJOR}.${MINOR}.${PATCH}`;
  }

  /** How many frames can be under way at once; known after start. */
  get slots(): number {
    return this.#stream.slots;
  }

  get #stream(): StreamMemory {
    if (!this.#memory) throw new EncoderError(`${this.#device.spec}: no stream is set up`);
    return this.#memory;
  }

  get #ring(): CompletionRing {
    if (!this.#completions) throw new EncoderError(`${this.#device.spec}: no stream is set up`);
    return this.#completions;
  }

  /** Sets up a stream and waits until the endpoint takes frames. Throws EncoderError, WindowTooSmall, DeviceError. */
  async start(settings: StreamSettings, path: TransferPath, inFlight: number): Promise<void> {
    const frameBytes = frameSizeBytes(settings);
    const device = this.#device;
    this.#memory =
      path === "dma"
        ? allocateHostMemory(device, inFlight, frameBytes)
        : openWindowMemory(device.bars[1]!, this.#registers.WINDOW_SIZE.read(), inFlight, frameBytes);
    this.#settings = settings;
    if (path === "dma") this.#armInterrupt();
    this.#completions = this.#ringFor(settings, 0);
    await this.#launch(settings);
  }

  #ringFor({ temporalLayers }: StreamSettings, framesBefore: number): CompletionRing {
    const device = this.#device;
    return new CompletionRing(device.spec, this.#stream, {
      ...{ layers: temporalLayers, framesBefore, hasCheck: this.#hasCheck },
      fence: () => device.fence(),
    });
  }

  /** Writes the settings and the rings, starts the stream and waits until it runs. */
  async #launch(settings: StreamSettings): Promise<void> {
    const device = this.#device;
    const memory = this.#stream;
    writeSettings(this.#registers, device.spec, settings);
    this.#writeRings(memory);
    if (this.#interrupt) this.#registers.IRQ_ENABLE.writeFields({ COMPLETION: 1 });
    this.#submitted = 0;
    this.#registers.COMMAND.writeFields({ CODE: registers.COMMAND.fields.CODE.values.START });
    const deadline = performance.now() + this.#timeoutMs;
    // If the stream is stopped during this wait, the caller that stops it reports that.
    while (this.#memory === memory) {
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
  #armInterrupt(): void {
    if (this.#interrupt || this.#device.interruptCount("msi") === 0) return;
    this.#interrupt = this.#device.enableInterrupts("msi", 1)[0];
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
   * frame, the others as they were. Throws as start does.
   */
  async restart(): Promise<void> {
    const memory = this.#stream;
    const ring = this.#ring;
    const settings = this.#settings!;
    const again = ring.underWay;
    this.#device.reset();
    this.#completions = this.#ringFor(settings, ring.framesCompleted);
    const [first] = again;
    await this.#launch({
      ...settings,
      ...(first?.bitrateKbps !== undefined && { bitrateKbps: first.bitrateKbps }),
    });
    // The stream was reset, closed or replaced during the wait.
    if (this.#memory !== memory) return;
    for (const submitted of again) {
      if (submitted.tag === FLUSH_TAG) this.submitFlush();
      else this.#submit(submitted === first ? { ...submitted, forceKey: true } : submitted);
    }
  }

  /** Memory for the frame of a slot, to fill before it is submitted. */
  frame(slot: number): Uint8Array<ArrayBuffer> {
    return this.#stream.frame(slot);
  }

  /** Frames submitted, but not completed. */
  get framesUnderWay(): number {
    return this.#completions?.frames ?? 0;
  }

  /**
   * Hands a slot's frame to the device. `pts` and `duration` are in ticks; `times` are returned with the
   * packet. Throws DeviceError.
   */
  submit(slot: number, pts: number, duration: number, control: FrameControl, times: FrameTimes): void {
    this.#submit({ tag: slot, pts: BigInt(pts), duration, times, ...control });
  }

  #submit(frame: SubmittedFrame): void {
    const { tag: slot, forceKey = false, quantizer, bitrateKbps } = frame;
    const memory = this.#stream;
    memory.carryFrame(slot);
    this.#ring.expect(frame);
    const { view } = this.#entry;
    const flags =
      (forceKey ? SubmitFlag.FORCE_KEY : 0) |
      (quantizer === undefined ? 0 : SubmitFlag.QUANTIZER) |
      (bitrateKbps === undefined ? 0 : SubmitFlag.BITRATE);
    view.setUint32(Submission.FLAGS, flags, true);
    view.setUint32(Submission.QUANTIZER, quantizer ?? 0, true);
    view.setUint32(Submission.BITRATE, bitrateKbps ?? 0, true);
    view.setUint32(Submission.SOURCE_BYTES, memory.frame(slot).byteLength, true);
    setAddress(view, Submission.SOURCE, memory.frameAddress(slot));
    view.setUint32(Submission.OUTPUT_BYTES, memory.packetBytes, true);
    setAddress(view, Submission.OUTPUT, memory.packetAddress(slot));
    view.setUint32(Submission.DURATION, frame.duration, true);
    this.#submitEntry(slot, Opcode.ENCODE, frame.pts);
  }

  /**
   * Asks the device to finish everything submitted so far; `take` returns "flushed" once it has. Throws
   * DeviceError.
   */
  submitFlush(): void {
    this.#ring.expect(FLUSH);
    this.#entry.words.fill(0);
    this.#submitEntry(FLUSH_TAG, Opcode.FLUSH, 0n);
  }

  /** Writes the entry to the ring with these fields and its CHECK, and rings the doorbell. */
  #submitEntry(tag: number, opcode: number, pts: bigint): void {
    const { view, words, bytes } = this.#entry;
    view.setUint32(Submission.TAG, tag, true);
    view.setUint32(Submission.OPCODE, opcode, true);
    view.setBigUint64(Submission.PTS, pts, true);
    if (this.#hasCheck) {
      view.setUint32(Submission.FLAGS, view.getUint32(Submission.FLAGS, true) | SubmitFlag.CHECK, true);
      view.setUint32(Submission.CHECK, submissionCheck(bytes), true);
    }
    const memory = this.#stream;
    const entry = memory.submissionRing + (this.#submitted % (1 << memory.ringLog2)) * SUBMISSION_BYTES;
    for (let i = 0; i < words.length; i++) memory.write32(entry + 4 * i, words[i]!);
    this.#submitted = (this.#submitted + 1) >>> 0;
    // The entry must be in memory before the device is told of it.
    this.#device.fence();
    this.#registers.SQ_TAIL.write(this.#submitted);
  }

  /**
   * Waits until `take` has a completion to give. Throws EncoderError if the time limit passes or the stream
   * failed, DeviceError if the device can't be reached.
   */
  async waitForCompletion(): Promise<void> {
    const startMs = performance.now();
    let lookedMs = startMs;
    let announced = true;
    while (!this.#ring.ready) {
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
    const taken = this.#registers.SQ_HEAD.read();
    return new EncoderError(
      `${this.#device.spec}: waited ${this.#timeoutMs} ms for a completion of ${this.#ring.waitingFor}; the device is ${state}, has taken ${taken} of ${this.#submitted} submissions and completed ${this.#registers.CQ_TAIL.read()}: it hangs, or its codec is slower than this limit`,
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
    const completed = this.#ring.take();
    if (completed) this.collectMs += performance.now() - startMs;
    return completed;
  }

  /** Ends the stream and drops the frames under way. */
  stop(): void {
    if (!this.#memory) return;
    try {
      this.#registers.COMMAND.writeFields({ CODE: registers.COMMAND.fields.CODE.values.STOP });
      // A read flushes the posted write: afterwards the device no longer touches the memory.
      this.#registers.STATUS.read();
    } finally {
      const memory = this.#memory;
      this.#memory = undefined;
      this.#completions = undefined;
      memory[Symbol.dispose]();
    }
  }

  /** Stops the stream and releases the interrupt. Does not close the device. */
  [Symbol.dispose](): void {
    try {
      this.stop();
      if (this.#interrupt) this.#device.disableInterrupts("msi");
    } catch (error) {
      // A device that is gone has nothing to stop, and its last user got the error.
      if (!(error instanceof DeviceError)) throw error;
    } finally {
      this.#interrupt?.[Symbol.dispose]();
      this.#interrupt = undefined;
    }
  }
}
