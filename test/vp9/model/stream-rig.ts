/** A stream built by hand: rings, descriptors and doorbells as a driver would write them, and as it never would. */
import { expect } from "bun:test";
import type { DmaMemory, PciDevice } from "../../../src/device/device.ts";
import { fence } from "../../../src/os/access.ts";
import { openRegisters, type Registers } from "../../../src/registers/access.ts";
import { valueName } from "../../../src/registers/fields.ts";
import { DEFAULT, registers } from "../../../src/vp9/contract/registers.ts";
import {
  COMPLETION_BYTES,
  Completion,
  CompletionStatus,
  completionStatusName,
  Opcode,
  SUBMISSION_BYTES,
  Submission,
} from "../../../src/vp9/contract/rings.ts";
import { until } from "../../model/rig.ts";

type RegisterName = keyof typeof registers;
export type RegisterValues = { readonly [N in RegisterName]?: number };

export const Codes = registers.ERROR.fields.CODE.values;
export const States = registers.STATUS.fields.STATE.values;
export const CommandCode = registers.COMMAND.fields.CODE.values;
export const { HOST, WINDOW } = registers.SPACE.fields.CODE.values;

/** Where things lie from the memory's start: 1 MiB of it, or as much of the window. */
export const Place = { SQ: 0, CQ: 0x4000, LIST: 0x8000, OUTPUT: 0x2_0000, FRAME: 0x4_0000 } as const;
const MEMORY_BYTES = 1 << 20;
const OUTPUT_BYTES = Place.FRAME - Place.OUTPUT;

/** A small picture whose frame is more than a page and no whole number of them. */
export const PICTURE = { WIDTH: 64, HEIGHT: 48, FRAME_BYTES: 4608 } as const;

/** What a submission says; as Submission in rings.ts has it. */
export interface Entry {
  tag: number;
  opcode: number;
  flags: number;
  sourceBytes: number;
  source: number | bigint;
  segments: number;
  outputBytes: number;
  output: number | bigint;
  pts: number | bigint;
  duration: number;
  quantizer: number;
  bitrate: number;
  check: number;
}

export interface Completed {
  readonly tag: number;
  readonly status: string;
  readonly flags: number;
  readonly pts: number;
  readonly packetBytes: number;
  readonly busyUs: number;
  readonly sequence: number;
}

/** All that a null codec's packet says. */
export const nullPacket = (frame: Uint8Array, index: number): Uint8Array => {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, 0x4e554c4c);
  view.setUint32(4, Bun.hash.crc32(frame), true);
  view.setUint32(8, index, true);
  view.setUint32(12, frame.byteLength, true);
  return new Uint8Array(view.buffer);
};

/** Bytes that look like no others; two with different seeds differ almost everywhere. */
export function noise(sizeBytes: number, seed: number): Uint8Array {
  let state = seed * 2654435761 + 1;
  return Uint8Array.from({ length: sizeBytes }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

/** One stream on a device whose owner is somebody else. Dispose ends it and gives its memory back. */
export class Rig implements Disposable {
  readonly device: PciDevice;
  readonly regs: Registers<typeof registers>;
  readonly memory: DmaMemory | undefined;
  readonly space: number;
  readonly entries: number;
  frameBytes: number;
  submitted = 0;
  completed = 0;

  /** Resets the endpoint by its own command, and writes all registers but COMMAND. */
  constructor(device: PciDevice, options: { space?: number; ringLog2?: number; memoryBytes?: number } = {}) {
    this.device = device;
    this.regs = openRegisters(registers, device.bars[0]!);
    this.space = options.space ?? HOST;
    this.memory = this.space === HOST ? device.allocateDma(options.memoryBytes ?? MEMORY_BYTES) : undefined;
    this.entries = 1 << (options.ringLog2 ?? 4);
    this.frameBytes = PICTURE.FRAME_BYTES;
    this.regs.COMMAND.write(CommandCode.RESET);
    // Pushes the posted write through: the reset clears the window, which is written to without a message.
    this.regs.MAGIC.read();
    this.setUp({ RING_LOG2: options.ringLog2 ?? 4 });
  }

  /** Of a place in the memory, for the device. */
  iova(offset: number): number {
    return (this.memory?.iova ?? 0) + offset;
  }

  /** Writes registers that make a stream work, or not, by what `values` has in place of them. */
  setUp(values: RegisterValues = {}): void {
    const size = PICTURE.WIDTH | (PICTURE.HEIGHT << 16);
    const good: RegisterValues = {
      VISIBLE_SIZE: size,
      CODED_SIZE: size,
      FORMAT: 0,
      FPS_NUM: 30,
      FPS_DEN: 1,
      TIMEBASE_NUM: 1,
      TIMEBASE_DEN: 1000,
      RATE_CONTROL: 0,
      BITRATE: DEFAULT,
      CQ_LEVEL: DEFAULT,
      GOP: DEFAULT,
      SPEED: DEFAULT,
      THREADS: 1,
      SPACE: this.space,
      SQ_LO: this.iova(Place.SQ) >>> 0,
      SQ_HI: Math.floor(this.iova(Place.SQ) / 2 ** 32),
      CQ_LO: this.iova(Place.CQ) >>> 0,
      CQ_HI: Math.floor(this.iova(Place.CQ) / 2 ** 32),
      RING_LOG2: Math.log2(this.entries),
    };
    for (const [name, value] of Object.entries({ ...good, ...values }))
      this.device.bars[0]!.write32(registers[name as RegisterName].offset, value);
  }

  /** START; resolves with the state that it comes to. */
  async start(): Promise<string> {
    this.regs.COMMAND.write(CommandCode.START);
    this.submitted = 0;
    this.completed = 0;
    this.clear(Place.CQ, this.entries * COMPLETION_BYTES);
    return until("START to succeed or fail", () => {
      const state = this.regs.STATUS.read();
      return state !== States.STARTING && valueName(registers.STATUS.fields.STATE, state);
    });
  }

  /** A stream that runs, or the test has failed. */
  async run(values: RegisterValues = {}): Promise<this> {
    this.setUp(values);
    const state = await this.start();
    expect([state, this.error()]).toEqual(["RUNNING", "NONE"]);
    return this;
  }

  stop(): void {
    this.regs.COMMAND.write(CommandCode.STOP);
    expect(this.regs.STATUS.read()).toBe(States.IDLE);
  }

  /** ERROR as "CODE", or as "CODE FIELD" where a field is named. */
  error(): string {
    const { CODE, FIELD } = this.regs.ERROR.readFields();
    const field = Object.entries(registers).find(([, { offset }]) => offset === FIELD)?.[0];
    return `${valueName(registers.ERROR.fields.CODE, CODE)}${FIELD ? ` ${field}` : ""}`;
  }

  put(offset: number, bytes: Uint8Array): void {
    if (this.memory) this.memory.bytes(offset, bytes.byteLength).set(bytes);
    else this.device.bars[1]!.copyIn(offset, bytes);
  }

  get(offset: number, sizeBytes: number): Uint8Array {
    if (this.memory) return this.memory.bytes(offset, sizeBytes).slice();
    const bytes = new Uint8Array(new ArrayBuffer(sizeBytes));
    this.device.bars[1]!.copyOut(offset, bytes);
    return bytes;
  }

  clear(offset: number, sizeBytes: number, value = 0): void {
    this.put(offset, new Uint8Array(new ArrayBuffer(sizeBytes)).fill(value));
  }

  #read32(offset: number): number {
    return this.memory ? this.memory.read32(offset) : this.device.bars[1]!.read32(offset);
  }

  /** Fills the next entry of the submission ring; nothing is told to the device yet. */
  fill(entry: Partial<Entry> = {}): void {
    const n = this.submitted++;
    const full: Entry = {
      tag: n,
      opcode: Opcode.ENCODE,
      flags: 0,
      sourceBytes: this.frameBytes,
      source: this.iova(Place.FRAME),
      segments: 0,
      outputBytes: OUTPUT_BYTES,
      output: this.iova(Place.OUTPUT),
      pts: n + 1,
      duration: 1,
      quantizer: 0,
      bitrate: 0,
      check: 0,
      ...entry,
    };
    const view = new DataView(new ArrayBuffer(SUBMISSION_BYTES));
    view.setUint32(Submission.TAG, full.tag, true);
    view.setUint32(Submission.OPCODE, full.opcode, true);
    view.setUint32(Submission.FLAGS, full.flags, true);
    view.setUint32(Submission.SOURCE_BYTES, full.sourceBytes, true);
    view.setBigUint64(Submission.SOURCE, BigInt(full.source), true);
    view.setUint32(Submission.SEGMENTS, full.segments, true);
    view.setUint32(Submission.OUTPUT_BYTES, full.outputBytes, true);
    view.setBigUint64(Submission.OUTPUT, BigInt(full.output), true);
    view.setBigUint64(Submission.PTS, BigInt(full.pts), true);
    view.setUint32(Submission.DURATION, full.duration, true);
    view.setUint32(Submission.QUANTIZER, full.quantizer, true);
    view.setUint32(Submission.BITRATE, full.bitrate, true);
    view.setUint32(Submission.CHECK, full.check, true);
    this.put(Place.SQ + (n % this.entries) * SUBMISSION_BYTES, new Uint8Array(view.buffer));
  }

  ring(tail = this.submitted): void {
    fence();
    this.regs.SQ_TAIL.write(tail);
  }

  submit(entry: Partial<Entry> = {}): void {
    this.fill(entry);
    this.ring();
  }

  /** The next completion if it is there, without waiting. */
  take(): Completed | undefined {
    const at = Place.CQ + (this.completed % this.entries) * COMPLETION_BYTES;
    if (this.#read32(at + Completion.SEQUENCE) !== this.completed + 1) return undefined;
    fence();
    const bytes = this.get(at, COMPLETION_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    this.completed++;
    return {
      tag: view.getUint32(Completion.TAG, true),
      status: completionStatusName(view.getUint16(Completion.STATUS, true)),
      flags: view.getUint16(Completion.FLAGS, true),
      pts: Number(view.getBigUint64(Completion.PTS, true)),
      packetBytes: view.getUint32(Completion.PACKET_BYTES, true),
      busyUs: view.getUint32(Completion.BUSY_US, true),
      sequence: view.getUint32(Completion.SEQUENCE, true),
    };
  }

  /** The next completion. */
  complete(): Promise<Completed> {
    return until(`completion ${this.completed + 1}`, () => this.take());
  }

  /** Submits, and gives what it is completed with. */
  async outcome(entry: Partial<Entry> = {}): Promise<Completed> {
    this.submit(entry);
    return this.complete();
  }

  /** The device still works: a frame goes through and comes out right. */
  async expectWorking(): Promise<void> {
    const { status } = await this.outcome({ pts: 1_000_000_000_000 + this.submitted });
    expect(status).toBe(completionStatusName(CompletionStatus.OK));
  }

  /** A segment list at LIST. */
  list(...segments: (readonly [address: number | bigint, sizeBytes: number])[]): void {
    const view = new DataView(new ArrayBuffer(16 * segments.length));
    for (const [i, [address, sizeBytes]] of segments.entries()) {
      view.setBigUint64(16 * i, BigInt(address), true);
      view.setUint32(16 * i + 8, sizeBytes, true);
    }
    this.put(Place.LIST, new Uint8Array(view.buffer));
  }

  [Symbol.dispose](): void {
    this.regs.COMMAND.write(CommandCode.RESET);
    this.regs.MAGIC.read();
    this.memory?.[Symbol.dispose]();
  }
}
