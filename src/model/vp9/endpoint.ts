/** The VP9 encoder endpoint as a device model: its registers, rings and interrupts. The codec works elsewhere. */
import { ptr } from "bun:ffi";
import { REGISTER_BYTES, registers, WINDOW_BYTES } from "../../endpoint/registers.ts";
import {
  COMPLETION_BYTES,
  Completion,
  CompletionFlag,
  CompletionStatus,
  Opcode,
  SEGMENT_BYTES,
  Segment,
  SUBMISSION_BYTES,
  Submission,
  SubmitFlag,
} from "../../endpoint/rings.ts";
import { fence } from "../../os/access.ts";
import type { Fd } from "../../os/fd.ts";
import { copyMemory, createMemfd, type Mapping, mapShared } from "../../os/memory.ts";
import { getField, type RegisterTable } from "../../pci/registers.ts";
import type { CodecJob, CodecResult } from "../codec/jobs.ts";
import type { BarModel, DeviceModel, Host, Wakeup } from "../device-model.ts";
import type { DmaRange } from "../dma.ts";
import { endpointConfigSpace } from "./config.ts";
import { BadValue, codedFrameBytes, readStreamSettings } from "./stream-settings.ts";
import type { Fault, FaultKind } from "./faults.ts";

type RegisterName = keyof typeof registers;

/** The codec's thread, as the endpoint sees it. */
export interface CodecLink {
  /** Value of the CODEC register. */
  readonly identity: number;
  post(job: CodecJob): void;
  /** Results that came since the last call. */
  take(): CodecResult[];
  /** Readable when results wait. */
  readonly bell: number;
}

/** A submission that the codec has and the host waits for. */
interface Pending {
  readonly generation: number;
  readonly opcode: number;
  readonly tag: number;
  readonly pts: bigint;
  readonly output: number;
  readonly outputBytes: number;
  readonly source: readonly DmaRange[];
}

/** Where START found the rings: registers written later are for the next stream. */
interface Rings {
  readonly inWindow: boolean;
  readonly submissions: number;
  readonly completions: number;
  readonly entries: number;
}

const State = registers.STATUS.fields.STATE.values;
const ErrorCode = registers.ERROR.fields.CODE.values;
const IrqBit = { COMPLETION: 1, STATE: 2 } as const;
const MAX_RING_LOG2 = getField(registers.LIMITS.fields.RING_LOG2, registers.LIMITS.reset);
const MAX_SEGMENTS = 2 ** getField(registers.LIMITS.fields.SEGMENTS_LOG2, registers.LIMITS.reset);
/** Completions wait here while the moderation or a fault holds them back. */
const NEVER = Number.POSITIVE_INFINITY;

export class Vp9Endpoint implements DeviceModel {
  readonly config = endpointConfigSpace();
  readonly msiVectors = 1;
  readonly bars: readonly (BarModel | undefined)[];
  readonly wakeups: readonly Wakeup[];
  readonly #host: Host;
  readonly #codec: CodecLink;
  readonly #faults: readonly Fault[];
  readonly #windowFd: Fd = createMemfd("vp9-window", WINDOW_BYTES);
  readonly #window: Mapping = mapShared(this.#windowFd.number, WINDOW_BYTES);

  /** The register file as the table lays it out; handlers below give some registers their meaning. */
  readonly #values = new Uint32Array(new ArrayBuffer(REGISTER_BYTES));
  /** Results of an earlier generation belong to a stream that was stopped or reset. */
  #generation = 0;
  #nextJob = 1;
  readonly #pending = new Map<number, Pending>();
  #openJob = 0;
  #rings: Rings = { inWindow: false, submissions: 0, completions: 0, entries: 1 };
  #frameBytes = 0;
  #lastPts = -1n;
  /** Completions not yet announced, and when they will be. */
  #unannounced = 0;
  #announceMs = NEVER;
  /** Frames completed since power-on of the model, which faults count. */
  #completedFrames = 0;
  /** Results that a stall holds back. */
  #held: CodecResult[] = [];
  #heldUntilMs = NEVER;
  #dead: FaultKind | undefined;
  #frames = 0;
  #bytes = 0;
  #busyUs = 0;

  readonly #entry = new ArrayBuffer(SUBMISSION_BYTES);
  readonly #entryView = new DataView(this.#entry);
  readonly #completion = new ArrayBuffer(COMPLETION_BYTES);
  readonly #completionView = new DataView(this.#completion);

  constructor(host: Host, codec: CodecLink, faults: readonly Fault[]) {
    this.#host = host;
    this.#codec = codec;
    this.#faults = faults;
    this.bars = [
      {
        kind: "registers",
        sizeBytes: REGISTER_BYTES,
        read32: (offset) => this.#read(offset),
        write32: (offset, value) => this.#write(offset, value),
      },
      {
        kind: "memory",
        sizeBytes: WINDOW_BYTES,
        fd: this.#windowFd.number,
        bytes: (offset, sizeBytes) => this.#window.bytes(offset, sizeBytes),
      },
    ];
    this.wakeups = [{ fd: codec.bell, onReadable: () => this.#onResults(codec.take()) }];
    this.#powerOn();
  }

  reset(): void {
    this.#stop();
    // Whoever maps the window writes to it unseen, so it can't be known to be clean.
    this.#window.bytes().fill(0);
    this.#powerOn();
  }

  #powerOn(): void {
    this.#values.fill(0);
    for (const register of Object.values(registers as RegisterTable))
      this.#values[register.offset / 4] = register.reset ?? 0;
    this.#set("CODEC", this.#codec.identity);
    this.#frames = 0;
    this.#bytes = 0;
    this.#busyUs = 0;
    this.#dead = undefined;
    this.#host.lower();
  }

  #get(name: RegisterName): number {
    return this.#values[registers[name].offset / 4]!;
  }

  #set(name: RegisterName, value: number): void {
    this.#values[registers[name].offset / 4] = value;
  }

  #count(name: RegisterName): void {
    this.#set(name, this.#get(name) + 1);
  }

  // Registers

  #read(offset: number): number {
    if (this.#dead === "ones") return 0xffff_ffff;
    switch (offset) {
      case registers.FRAMES_LO.offset:
        return this.#latch("FRAMES_HI", this.#frames);
      case registers.BYTES_LO.offset:
        return this.#latch("BYTES_HI", this.#bytes);
      case registers.BUSY_US_LO.offset:
        return this.#latch("BUSY_US_HI", this.#busyUs);
      default:
        return this.#values[offset / 4]!;
    }
  }

  #latch(high: RegisterName, value: number): number {
    this.#set(high, Math.floor(value / 2 ** 32));
    return value >>> 0;
  }

  #write(offset: number, value: number): void {
    if (this.#dead === "ones") return;
    switch (offset) {
      case registers.COMMAND.offset:
        return this.#command(value);
      case registers.SQ_TAIL.offset:
        this.#set("SQ_TAIL", value);
        return this.#takeSubmissions();
      case registers.IRQ_STATUS.offset:
        this.#set("IRQ_STATUS", this.#get("IRQ_STATUS") & ~value);
        return this.#lowerIfQuiet();
      case registers.IRQ_ENABLE.offset: {
        const added = value & ~this.#get("IRQ_ENABLE");
        this.#set("IRQ_ENABLE", value);
        // What happened before it was enabled is announced now.
        if (this.#get("IRQ_STATUS") & added) this.#host.raise();
        return this.#lowerIfQuiet();
      }
      default:
        if (writableOffsets.has(offset)) this.#values[offset / 4] = value;
    }
  }

  #command(code: number): void {
    const { START, STOP, RESET } = registers.COMMAND.fields.CODE.values;
    if (code === RESET) this.reset();
    else if (code === STOP) {
      this.#stop();
      this.#setState(State.IDLE);
    } else if (code === START && this.#get("STATUS") === State.IDLE) this.#start();
    else this.#fail(ErrorCode.BAD_COMMAND);
  }

  // The stream

  #start(): void {
    this.#set("ERROR", 0);
    for (const name of ["SQ_TAIL", "SQ_HEAD", "CQ_TAIL"] as const) this.#set(name, 0);
    this.#lastPts = -1n;
    try {
      const settings = readStreamSettings((name) => this.#get(name));
      this.#frameBytes = codedFrameBytes(settings);
      this.#takeUpRings();
      if (this.#get("STATUS") === State.FAILED) return;
      this.#setState(State.STARTING);
      this.#openJob = this.#nextJob++;
      this.#codec.post({ kind: "open", id: this.#openJob, settings });
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      this.#fail(ErrorCode.BAD_VALUE, error.register);
    }
  }

  /** Throws BadValue; or fails the stream where the rings can't be reached. */
  #takeUpRings(): void {
    const log2 = this.#get("RING_LOG2");
    if (this.#get("SPACE") > 1) throw new BadValue("SPACE");
    if (log2 < 1 || log2 > MAX_RING_LOG2) throw new BadValue("RING_LOG2");
    if (this.#get("SQ_LO") % 64) throw new BadValue("SQ_LO");
    if (this.#get("CQ_LO") % 64) throw new BadValue("CQ_LO");
    this.#rings = {
      inWindow: this.#get("SPACE") === registers.SPACE.fields.CODE.values.WINDOW,
      submissions: this.#get("SQ_LO") + this.#get("SQ_HI") * 2 ** 32,
      completions: this.#get("CQ_LO") + this.#get("CQ_HI") * 2 ** 32,
      entries: 1 << log2,
    };
    if (!this.#mayReach) return this.#fail(ErrorCode.BUS_MASTER_OFF);
    const rings = [
      this.#resolve(this.#rings.submissions, SUBMISSION_BYTES << log2, false),
      this.#resolve(this.#rings.completions, COMPLETION_BYTES << log2, true),
    ];
    if (rings.includes(undefined)) this.#fault();
    for (const ring of rings) release(ring);
  }

  /** Whether rings, frames and packets may be accessed at all: host memory with bus mastering only. */
  get #mayReach(): boolean {
    return this.#rings.inWindow || this.config.busMaster;
  }

  #stop(): void {
    this.#generation++;
    this.#set("ERROR", 0);
    this.#set("STATUS", State.IDLE);
    this.#openJob = 0;
    this.#unannounced = 0;
    this.#announceMs = NEVER;
    for (const result of this.#held.splice(0)) this.#finish(result);
    this.#heldUntilMs = NEVER;
    this.#codec.post({ kind: "close", id: this.#nextJob++ });
  }

  #fail(code: number, register?: RegisterName): void {
    this.#openJob = 0;
    this.#set("ERROR", code | ((register ? registers[register].offset : 0) << 16));
    this.#setState(State.FAILED);
  }

  /** A ring that can't be reached. */
  #fault(): void {
    this.#logFault();
    this.#fail(ErrorCode.RING_FAULT);
  }

  /** An address that is not mapped; one outside the window is no matter of the bus. */
  #logFault(): void {
    if (!this.#rings.inWindow) this.config.logUnsupportedRequest();
  }

  #setState(state: number): void {
    this.#set("STATUS", state);
    this.#interrupt(IrqBit.STATE);
  }

  #interrupt(bit: number): void {
    this.#set("IRQ_STATUS", this.#get("IRQ_STATUS") | bit);
    if (this.#get("IRQ_ENABLE") & bit) this.#host.raise();
  }

  #lowerIfQuiet(): void {
    if ((this.#get("IRQ_STATUS") & this.#get("IRQ_ENABLE")) === 0) this.#host.lower();
  }

  // Memory that the host named: its own, or the window

  #resolve(address: number, sizeBytes: number, write: boolean): DmaRange[] | undefined {
    if (!this.#rings.inWindow) return this.#host.dma.resolve(address, sizeBytes, write);
    if (!(address + sizeBytes <= WINDOW_BYTES)) return undefined;
    return [{ address: this.#window.address + address, sizeBytes, release: () => {} }];
  }

  #readInto(address: number, to: ArrayBuffer): boolean {
    const parts = this.#resolve(address, to.byteLength, false);
    let done = 0;
    for (const part of parts ?? []) {
      copyMemory(ptr(to) + done, part.address, part.sizeBytes);
      done += part.sizeBytes;
    }
    release(parts);
    return parts !== undefined;
  }

  #writeFrom(address: number, from: Uint8Array): boolean {
    const parts = this.#resolve(address, from.byteLength, true);
    let done = 0;
    for (const part of parts ?? []) {
      copyMemory(part.address, ptr(from) + done, part.sizeBytes);
      done += part.sizeBytes;
    }
    release(parts);
    return parts !== undefined;
  }

  // Submissions

  #takeSubmissions(): void {
    if (this.#get("STATUS") !== State.RUNNING) return;
    if (!this.#mayReach) return this.#fail(ErrorCode.BUS_MASTER_OFF);
    const { submissions, entries } = this.#rings;
    const tail = this.#get("SQ_TAIL");
    const underWay = (this.#get("SQ_HEAD") - this.#get("CQ_TAIL")) >>> 0;
    // A tail that goes back comes out as nearly 2^32 new entries.
    if (((tail - this.#get("SQ_HEAD")) >>> 0) + underWay > entries) return this.#fail(ErrorCode.BAD_TAIL);
    while (this.#get("SQ_HEAD") !== tail && this.#get("STATUS") === State.RUNNING) {
      const head = this.#get("SQ_HEAD");
      if (!this.#readInto(submissions + (head % entries) * SUBMISSION_BYTES, this.#entry))
        return this.#fault();
      this.#count("SQ_HEAD");
      this.#submit();
    }
  }

  #submit(): void {
    const u32 = (offset: number) => this.#entryView.getUint32(offset, true);
    const u64 = (offset: number) => this.#entryView.getBigUint64(offset, true);
    const opcode = u32(Submission.OPCODE);
    const pts = u64(Submission.PTS);
    const pending = {
      generation: this.#generation,
      opcode,
      tag: u32(Submission.TAG),
      pts,
      output: Number(u64(Submission.OUTPUT)),
      outputBytes: u32(Submission.OUTPUT_BYTES),
      source: [],
    };
    if (opcode === Opcode.FLUSH) {
      const id = this.#nextJob++;
      this.#pending.set(id, pending);
      this.#codec.post({ kind: "flush", id });
      return;
    }
    const flags = u32(Submission.FLAGS);
    const duration = u32(Submission.DURATION);
    if (
      opcode !== Opcode.ENCODE ||
      flags & ~SubmitFlag.FORCE_KEY ||
      duration === 0 ||
      pts <= this.#lastPts ||
      pts > BigInt(Number.MAX_SAFE_INTEGER)
    ) {
      return this.#complete(pending, CompletionStatus.BAD_DESCRIPTOR);
    }
    this.#lastPts = pts;
    const source = this.#source(
      Number(u64(Submission.SOURCE)),
      u32(Submission.SOURCE_BYTES),
      u32(Submission.SEGMENTS),
    );
    if (typeof source === "number") {
      if (source === CompletionStatus.SOURCE_FAULT) this.#logFault();
      return this.#complete(pending, source);
    }
    const id = this.#nextJob++;
    this.#pending.set(id, { ...pending, source });
    const pieces = source.map(({ address, sizeBytes }) => ({ address, sizeBytes }));
    const forceKey = (flags & SubmitFlag.FORCE_KEY) !== 0;
    this.#codec.post({ kind: "encode", id, pieces, pts: Number(pts), duration, forceKey });
  }

  /** The pieces of a frame, or the status that says why there are none. */
  #source(address: number, sizeBytes: number, segments: number): DmaRange[] | number {
    if (sizeBytes !== this.#frameBytes) return CompletionStatus.BAD_SOURCE_SIZE;
    if (segments === 0) return this.#resolve(address, sizeBytes, false) ?? CompletionStatus.SOURCE_FAULT;
    if (segments > MAX_SEGMENTS) return CompletionStatus.BAD_DESCRIPTOR;
    const list = new DataView(new ArrayBuffer(segments * SEGMENT_BYTES));
    if (!this.#readInto(address, list.buffer)) return CompletionStatus.SOURCE_FAULT;
    const pieces: DmaRange[] = [];
    let sum = 0;
    for (let at = 0; at < list.byteLength; at += SEGMENT_BYTES) {
      const length = list.getUint32(at + Segment.LENGTH, true);
      sum += length;
      const parts =
        sum <= sizeBytes &&
        this.#resolve(Number(list.getBigUint64(at + Segment.ADDRESS, true)), length, false);
      if (!parts) {
        release(pieces);
        return sum <= sizeBytes ? CompletionStatus.SOURCE_FAULT : CompletionStatus.BAD_SOURCE_SIZE;
      }
      pieces.push(...parts);
    }
    if (sum === sizeBytes) return pieces;
    release(pieces);
    return CompletionStatus.BAD_SOURCE_SIZE;
  }

  // Completions

  #onResults(results: readonly CodecResult[]): void {
    for (const result of results) {
      if (this.#held.length) this.#held.push(result);
      else this.#finish(result);
    }
  }

  #finish(result: CodecResult): void {
    if (result.id === this.#openJob) {
      this.#openJob = 0;
      if (result.error !== undefined) return this.#fail(ErrorCode.CODEC_REFUSED);
      this.#setState(State.RUNNING);
      // The doorbell may have been rung meanwhile.
      return this.#takeSubmissions();
    }
    const pending = this.#pending.get(result.id);
    if (!pending) return;
    if (pending.generation === this.#generation && pending.opcode === Opcode.ENCODE) {
      const fault = this.#faults.find(
        ({ kind, frame, ms }) => kind === "stall" && ms > 0 && frame === this.#completedFrames + 1,
      );
      if (fault && this.#heldUntilMs === NEVER) {
        this.#heldUntilMs = performance.now() + fault.ms;
        this.#held.push(result);
        return;
      }
    }
    this.#pending.delete(result.id);
    release(pending.source);
    if (pending.generation !== this.#generation || this.#get("STATUS") !== State.RUNNING) return;
    this.#busyUs += result.busyUs;
    if (result.error !== undefined)
      return this.#complete(pending, CompletionStatus.CODEC_FAILED, 0, 0, result.busyUs);
    this.#deliver(pending, result);
  }

  /** Writes a packet where the host wants it, and completes its frame. */
  #deliver(pending: Pending, result: CodecResult): void {
    const sizeBytes = result.packets.reduce((sum, packet) => sum + packet.data.byteLength, 0);
    const isFrame = pending.opcode === Opcode.ENCODE;
    if (sizeBytes === 0) {
      return this.#complete(
        pending,
        isFrame ? CompletionStatus.DROPPED : CompletionStatus.OK,
        0,
        0,
        result.busyUs,
      );
    }
    if (sizeBytes > pending.outputBytes) {
      return this.#complete(pending, CompletionStatus.OUTPUT_TOO_SMALL, 0, sizeBytes, result.busyUs);
    }
    if (!this.#mayReach) return this.#fail(ErrorCode.BUS_MASTER_OFF);
    let at = pending.output;
    for (const packet of result.packets) {
      if (!this.#writeFrom(at, packet.data)) {
        this.#logFault();
        return this.#complete(pending, CompletionStatus.OUTPUT_FAULT);
      }
      at += packet.data.byteLength;
    }
    this.#bytes += sizeBytes;
    const flags = result.packets.some((packet) => packet.key) ? CompletionFlag.KEY : 0;
    this.#complete(pending, CompletionStatus.OK, flags, sizeBytes, result.busyUs);
  }

  #complete(pending: Pending, status: number, flags = 0, packetBytes = 0, busyUs = 0): void {
    const isFrame = pending.opcode === Opcode.ENCODE;
    if (isFrame) this.#completedFrames++;
    const struck = isFrame ? this.#strike() : new Set<FaultKind>();
    if (this.#dead) return;
    if (isFrame && status <= CompletionStatus.DROPPED) this.#frames++;
    if (status > CompletionStatus.DROPPED) this.#count("ERRORS");
    if (isFrame && this.#pending.size === 0) this.#count("STALLS");

    const sequence = this.#get("CQ_TAIL");
    const entry = this.#completionView;
    entry.setUint32(Completion.TAG, struck.has("corrupt") ? ~pending.tag : pending.tag, true);
    entry.setUint16(Completion.STATUS, status, true);
    entry.setUint16(Completion.FLAGS, flags, true);
    entry.setBigUint64(Completion.PTS, pending.pts, true);
    entry.setUint32(Completion.PACKET_BYTES, packetBytes, true);
    entry.setUint32(Completion.BUSY_US, busyUs, true);
    entry.setUint32(Completion.SEQUENCE, sequence + 1, true);
    const { completions, entries } = this.#rings;
    const slot = completions + (sequence % entries) * COMPLETION_BYTES;
    const bytes = new Uint8Array(this.#completion);
    const last = Completion.SEQUENCE;
    if (!this.#mayReach) return this.#fail(ErrorCode.BUS_MASTER_OFF);
    if (!this.#writeFrom(slot, bytes.subarray(0, last))) return this.#fault();
    fence();
    if (!this.#writeFrom(slot + last, bytes.subarray(last))) return this.#fault();
    this.#count("CQ_TAIL");
    if (!struck.has("drop-interrupt")) this.#announce(!isFrame);
  }

  /** The faults ordered for the frame that completes now; some end it all. */
  #strike(): Set<FaultKind> {
    const struck = new Set(
      this.#faults.filter(({ frame }) => frame === this.#completedFrames).map(({ kind }) => kind),
    );
    if (struck.has("die")) process.kill(process.pid, "SIGKILL");
    if (struck.has("wedge")) this.#dead = "wedge";
    if (struck.has("ones")) this.#dead = "ones";
    return struck;
  }

  // Interrupts

  #announce(now: boolean): void {
    const { COUNT, TIME_US } = registers.IRQ_MODERATION.fields;
    const moderation = this.#get("IRQ_MODERATION");
    this.#unannounced++;
    if (now || this.#unannounced >= getField(COUNT, moderation)) {
      this.#unannounced = 0;
      this.#announceMs = NEVER;
      this.#interrupt(IrqBit.COMPLETION);
    } else if (this.#announceMs === NEVER) {
      this.#announceMs = performance.now() + getField(TIME_US, moderation) / 1000;
    }
  }

  nextTimeMs(): number {
    return Math.min(this.#announceMs, this.#heldUntilMs);
  }

  onTime(): void {
    const nowMs = performance.now();
    if (nowMs >= this.#announceMs) {
      this.#unannounced = 0;
      this.#announceMs = NEVER;
      this.#interrupt(IrqBit.COMPLETION);
    }
    if (nowMs >= this.#heldUntilMs) {
      const results = this.#held.splice(0);
      this.#heldUntilMs = NEVER;
      this.#onLate(results);
    }
  }

  /** Results that a stall held back; the stall does not strike them again. */
  #onLate(results: readonly CodecResult[]): void {
    this.#heldUntilMs = 0;
    for (const result of results) this.#finish(result);
    this.#heldUntilMs = NEVER;
  }
}

const writableOffsets: ReadonlySet<number> = new Set(
  Object.values(registers as RegisterTable)
    .filter((register) => register.mode === "rw")
    .map((register) => register.offset),
);

function release(ranges: readonly DmaRange[] | undefined): void {
  for (const range of ranges ?? []) range.release();
}
