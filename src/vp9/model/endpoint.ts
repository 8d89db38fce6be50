/** The VP9 encoder endpoint as a device model: its registers and rings. The codec runs on another thread. */

import type { BarModel, DeviceModel, Host, Wakeup } from "../../model/device-model.ts";
import { FaultPlan } from "../../model/fault-injection.ts";
import { SharedMemoryBar } from "../../model/memory-bar.ts";
import { RegisterFile } from "../../model/register-file.ts";
import { getField } from "../../registers/table.ts";
import type { CodecResult } from "../codec/jobs.ts";
import { frameLayout } from "../codec/layout.ts";
import type { CodecLink } from "../codec/pool.ts";
import { REGISTER_BYTES, registers, WINDOW_BYTES } from "../contract/registers.ts";
import {
  COMPLETION_BYTES,
  CompletionFlag,
  CompletionStatus,
  Opcode,
  SUBMISSION_BYTES,
  SubmitFlag,
} from "../contract/rings.ts";
import { writeCompletion } from "./completion-entry.ts";
import { endpointMemory, findFrame } from "./endpoint-memory.ts";
import type { EndpointFault, FaultKind } from "./faults.ts";
import { endpointConfigSpace } from "./identity.ts";
import { InterruptModeration } from "./interrupt-moderation.ts";
import { BadValue, type RegisterName, readStreamSettings } from "./stream-settings.ts";
import { parseSubmission, type SubmissionEntry } from "./submission-entry.ts";
import { type Stream, Submissions, type Submitted } from "./submissions.ts";

/** The result of a submission. */
interface Outcome {
  readonly status: number;
  readonly flags?: number;
  readonly packetBytes?: number;
  readonly busyUs?: number;
}

const State = registers.STATUS.fields.STATE.values;
const ErrorCode = registers.ERROR.fields.CODE.values;
const { WINDOW } = registers.SPACE.fields.CODE.values;
const MAX_RING_LOG2 = getField(registers.LIMITS.fields.RING_LOG2, registers.LIMITS.reset);
const MAX_SEGMENTS = 2 ** getField(registers.LIMITS.fields.SEGMENTS_LOG2, registers.LIMITS.reset);
const NEVER = Number.POSITIVE_INFINITY;

/** Work per turn on submissions, in pieces of frames: a few milliseconds. Messages are answered between turns. */
const TURN_PIECES = 4096;
/** The cost of an entry itself, in pieces. */
const ENTRY_PIECES = 8;
/** With this many pieces of frames held, further entries stay in their ring until the codec has finished some. */
const HELD_PIECES = 65_536;

export class Vp9Endpoint implements DeviceModel {
  readonly config = endpointConfigSpace();
  readonly msiVectors = 1;
  readonly bars: readonly (BarModel | undefined)[];
  readonly wakeups: readonly Wakeup[];
  readonly #host: Host;
  readonly #codec: CodecLink;
  readonly #faults: FaultPlan<FaultKind>;
  readonly #window = new SharedMemoryBar("vp9-window", WINDOW_BYTES);
  readonly #registers = new RegisterFile(registers, REGISTER_BYTES);
  readonly #moderation: InterruptModeration;

  #stream: Stream | undefined;
  #nextJob = 1;
  readonly #submissions = new Submissions();
  /** Whether the ring has entries that could be taken now. */
  #more = false;
  /** Results that a stall holds back, and until when. */
  readonly #held: CodecResult[] = [];
  #heldUntilMs = NEVER;
  /** A fault that lasts until the next reset. */
  #dead: "wedge" | "ones" | undefined;
  #frames = 0;
  #bytes = 0;
  #busyUs = 0;

  readonly #entry = new DataView(new ArrayBuffer(SUBMISSION_BYTES));

  constructor(host: Host, codec: CodecLink, faults: readonly EndpointFault[]) {
    this.#host = host;
    this.#codec = codec;
    this.#faults = new FaultPlan(faults);
    this.#moderation = new InterruptModeration(this.#registers, host);
    this.bars = [
      {
        kind: "registers",
        sizeBytes: REGISTER_BYTES,
        read32: (offset) => this.#read(offset),
        write32: (offset, value) => this.#write(offset, value),
      },
      this.#window,
    ];
    this.wakeups = [{ fd: codec.bell, onReadable: () => this.#onResults(codec.take()) }];
    this.#powerOn();
  }

  admit(): void {
    this.#window.renew();
  }

  readonly [Symbol.dispose] = () => this.#window[Symbol.dispose]();

  reset(): void {
    this.#stop();
    // A client that maps the window writes to it unseen, so it may not be clean.
    this.#window.clear();
    this.#powerOn();
  }

  #powerOn(): void {
    this.#registers.reset();
    this.#registers.set("CODEC", this.#codec.identity);
    this.#frames = 0;
    this.#bytes = 0;
    this.#busyUs = 0;
    this.#dead = undefined;
    this.#host.lower();
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
        return this.#registers.read(offset);
    }
  }

  #latch(high: RegisterName, value: number): number {
    this.#registers.set(high, Math.floor(value / 2 ** 32));
    return value >>> 0;
  }

  #write(offset: number, value: number): void {
    if (this.#dead === "ones") return;
    switch (offset) {
      case registers.COMMAND.offset:
        return this.#command(value);
      case registers.SQ_TAIL.offset:
        this.#registers.set("SQ_TAIL", value);
        return this.#takeSubmissions();
      case registers.IRQ_STATUS.offset:
        return this.#moderation.clear(value);
      case registers.IRQ_ENABLE.offset:
        return this.#moderation.enable(value);
      default:
        this.#registers.write(offset, value);
    }
  }

  #command(code: number): void {
    const { START, STOP, RESET } = registers.COMMAND.fields.CODE.values;
    if (code === RESET) return this.reset();
    if (code === STOP) {
      this.#stop();
      return this.#setState(State.IDLE);
    }
    if (code !== START || this.#registers.get("STATUS") !== State.IDLE)
      return this.#fail(ErrorCode.BAD_COMMAND);
    this.#registers.set("ERROR", 0);
    for (const name of ["SQ_TAIL", "SQ_HEAD", "CQ_TAIL"] as const) this.#registers.set(name, 0);
    try {
      this.#start();
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      this.#fail(ErrorCode.BAD_VALUE, error.register);
    }
  }

  // The stream's life

  /** Throws BadValue, or fails the stream if the rings can't be reached. */
  #start(): void {
    const get = (name: RegisterName) => this.#registers.get(name);
    const settings = readStreamSettings(get);
    const log2 = get("RING_LOG2");
    if (get("SPACE") > 1) throw new BadValue("SPACE");
    if (log2 < 1 || log2 > MAX_RING_LOG2) throw new BadValue("RING_LOG2");
    if (get("SQ_LO") % 64) throw new BadValue("SQ_LO");
    if (get("CQ_LO") % 64) throw new BadValue("CQ_LO");
    const inWindow = get("SPACE") === WINDOW;
    const stream: Stream = {
      memory: endpointMemory(this.#host.dma, this.#window, inWindow),
      inWindow,
      submissions: get("SQ_LO") + get("SQ_HI") * 2 ** 32,
      completions: get("CQ_LO") + get("CQ_HI") * 2 ** 32,
      entries: 1 << log2,
      frameBytes: frameLayout(settings).sizeBytes,
      openJob: this.#nextJob++,
      lastPts: -1n,
    };
    if (!this.#mayReach(stream)) return this.#fail(ErrorCode.BUS_MASTER_OFF);
    const { memory, submissions, completions, entries } = stream;
    const ringsReached =
      memory.reaches(submissions, SUBMISSION_BYTES * entries, false) &&
      memory.reaches(completions, COMPLETION_BYTES * entries, true);
    if (!ringsReached) return this.#failRing(stream);
    this.#stream = stream;
    this.#setState(State.STARTING);
    this.#codec.post({ kind: "open", id: stream.openJob, settings });
  }

  /** Abandons the codec's jobs. Only the frame that it is working on stays held. */
  #stop(): void {
    this.#stream = undefined;
    this.#registers.set("ERROR", 0);
    this.#registers.set("STATUS", State.IDLE);
    this.#moderation.forget();
    this.#letGo();
    this.#submissions.end(this.#codec.close(this.#nextJob++));
  }

  #fail(code: number, register?: RegisterName): void {
    this.#stream = undefined;
    this.#registers.set("ERROR", code | ((register ? registers[register].offset : 0) << 16));
    this.#setState(State.FAILED);
  }

  #failRing(stream: Stream): void {
    this.#logFault(stream);
    this.#fail(ErrorCode.RING_FAULT);
  }

  #setState(state: number): void {
    this.#registers.set("STATUS", state);
    this.#moderation.stateChanged();
  }

  #mayReach(stream: Stream): boolean {
    return stream.inWindow || this.config.busMaster;
  }

  /** Logs an address that is not mapped. One outside the window is not a bus error. */
  #logFault(stream: Stream): void {
    if (!stream.inWindow) this.config.logUnsupportedRequest();
  }

  // Submissions

  /** Takes submissions up to SQ_TAIL, as many as this turn allows. */
  #takeSubmissions(): void {
    this.#more = false;
    const stream = this.#stream;
    if (!stream || this.#registers.get("STATUS") !== State.RUNNING) return;
    if (!this.#mayReach(stream)) return this.#fail(ErrorCode.BUS_MASTER_OFF);
    const tail = this.#registers.get("SQ_TAIL");
    const underWay = (this.#registers.get("SQ_HEAD") - this.#registers.get("CQ_TAIL")) >>> 0;
    // A tail that moves back looks like nearly 2^32 new entries.
    const added = (tail - this.#registers.get("SQ_HEAD")) >>> 0;
    if (added + underWay > stream.entries) return this.#fail(ErrorCode.BAD_TAIL);
    let work = 0;
    for (let left = added; left > 0 && this.#stream === stream; left--) {
      if (this.#submissions.pieces >= HELD_PIECES) return;
      this.#more = work >= TURN_PIECES;
      if (this.#more) return;
      const slot = this.#registers.get("SQ_HEAD") % stream.entries;
      if (!stream.memory.read(stream.submissions + slot * SUBMISSION_BYTES, this.#entry.buffer)) {
        return this.#failRing(stream);
      }
      this.#registers.count("SQ_HEAD");
      const entry = parseSubmission(this.#entry);
      const segments = Math.min(entry.segments, MAX_SEGMENTS);
      const heldBefore = this.#submissions.pieces;
      this.#submit(stream, entry);
      work += ENTRY_PIECES + Math.max(segments, this.#submissions.pieces - heldBefore);
    }
  }

  /** Hands an entry to the codec, or completes it with the reason for refusing it. */
  #submit(stream: Stream, entry: SubmissionEntry): void {
    const { opcode, tag, flags, pts, duration, segments, output, outputBytes } = entry;
    const isFrame = opcode !== Opcode.FLUSH;
    const submitted: Submitted = { stream, isFrame, tag, pts, output, outputBytes, source: [] };
    const id = this.#nextJob++;
    if (!isFrame) {
      this.#submissions.add(id, submitted);
      return this.#codec.post({ kind: "flush", id });
    }
    const known =
      opcode === Opcode.ENCODE && (flags & ~SubmitFlag.FORCE_KEY) === 0 && segments <= MAX_SEGMENTS;
    const timely = duration > 0 && pts > stream.lastPts && pts <= BigInt(Number.MAX_SAFE_INTEGER);
    if (!known || !timely) return this.#complete(submitted, { status: CompletionStatus.BAD_DESCRIPTOR });
    stream.lastPts = pts;
    if (entry.sourceBytes !== stream.frameBytes)
      return this.#complete(submitted, { status: CompletionStatus.BAD_SOURCE_SIZE });
    const source = findFrame(stream.memory, entry.source, stream.frameBytes, segments);
    if (typeof source === "number") {
      if (source === CompletionStatus.SOURCE_FAULT) this.#logFault(stream);
      return this.#complete(submitted, { status: source });
    }
    this.#submissions.add(id, { ...submitted, source });
    const pieces = new Float64Array(new ArrayBuffer(16 * source.length));
    for (const [i, { address, sizeBytes }] of source.entries()) {
      pieces[2 * i] = address;
      pieces[2 * i + 1] = sizeBytes;
    }
    const forceKey = (flags & SubmitFlag.FORCE_KEY) !== 0;
    this.#codec.post({ kind: "encode", id, pieces, pts: Number(pts), duration, forceKey });
  }

  // Completions

  #onResults(results: readonly CodecResult[]): void {
    for (const result of results) {
      const submitted = this.#submissions.get(result.id);
      const stallMs =
        submitted?.isFrame && submitted.stream === this.#stream ? this.#faults.takeDelayMs() : 0;
      if (stallMs > 0) this.#heldUntilMs = performance.now() + stallMs;
      if (this.#heldUntilMs === NEVER) this.#finish(result);
      else this.#held.push(result);
    }
  }

  /** Ends a stall. */
  #letGo(): void {
    this.#heldUntilMs = NEVER;
    for (const result of this.#held.splice(0)) this.#finish(result);
  }

  #finish(result: CodecResult): void {
    if (this.#stream && result.id === this.#stream.openJob) {
      if (result.error !== undefined) return this.#fail(ErrorCode.CODEC_REFUSED);
      this.#setState(State.RUNNING);
      // The doorbell may have been rung before the codec was open.
      return this.#takeSubmissions();
    }
    const submitted = this.#submissions.take(result.id);
    if (!submitted || submitted.stream !== this.#stream) return;
    if (!this.#mayReach(submitted.stream)) return this.#fail(ErrorCode.BUS_MASTER_OFF);
    this.#busyUs += result.busyUs;
    this.#complete(submitted, this.#deliver(submitted, result));
    this.#more = this.#registers.get("SQ_HEAD") !== this.#registers.get("SQ_TAIL");
  }

  /** Writes a frame's packet to the host's output address. */
  #deliver(
    { stream, isFrame, output, outputBytes }: Submitted,
    { packets, busyUs, error }: CodecResult,
  ): Outcome {
    if (error !== undefined) return { status: CompletionStatus.CODEC_FAILED, busyUs };
    const packetBytes = packets.reduce((sum, { data }) => sum + data.byteLength, 0);
    if (packetBytes === 0)
      return { status: isFrame ? CompletionStatus.DROPPED : CompletionStatus.OK, busyUs };
    if (packetBytes > outputBytes) return { status: CompletionStatus.OUTPUT_TOO_SMALL, packetBytes, busyUs };
    let at = output;
    for (const { data } of packets) {
      if (!stream.memory.write(at, data)) {
        this.#logFault(stream);
        return { status: CompletionStatus.OUTPUT_FAULT };
      }
      at += data.byteLength;
    }
    this.#bytes += packetBytes;
    const flags = packets.some(({ key }) => key) ? CompletionFlag.KEY : 0;
    return { status: CompletionStatus.OK, flags, packetBytes, busyUs };
  }

  /** Writes a completion and announces it, unless an injected fault prevents that. */
  #complete(
    { stream, isFrame, tag, pts }: Submitted,
    { status, flags = 0, packetBytes = 0, busyUs = 0 }: Outcome,
  ): void {
    const struck = isFrame ? this.#faults.strike() : undefined;
    if (struck?.has("die")) process.kill(process.pid, "SIGKILL");
    if (struck?.has("wedge")) this.#dead = "wedge";
    if (struck?.has("ones")) this.#dead = "ones";
    if (this.#dead) return;
    const failed = status > CompletionStatus.DROPPED;
    if (failed) this.#registers.count("ERRORS");
    else if (isFrame) this.#frames++;
    if (isFrame && this.#submissions.idle) this.#registers.count("STALLS");

    const sequence = this.#registers.get("CQ_TAIL");
    const entry = { tag: struck?.has("corrupt") ? ~tag : tag, status, flags, pts, packetBytes, busyUs };
    if (!writeCompletion(stream, sequence, entry)) return this.#failRing(stream);
    this.#registers.count("CQ_TAIL");
    if (!struck?.has("drop-interrupt")) this.#moderation.completed(!isFrame);
  }

  // Time

  nextTimeMs(): number {
    if (this.#more) return 0;
    return Math.min(this.#moderation.dueMs, this.#heldUntilMs);
  }

  onTime(): void {
    const nowMs = performance.now();
    if (nowMs >= this.#moderation.dueMs) this.#moderation.announce();
    if (nowMs >= this.#heldUntilMs) this.#letGo();
    if (this.#more) this.#takeSubmissions();
  }
}
