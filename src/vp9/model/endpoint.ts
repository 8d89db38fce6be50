/** The VP9 encoder endpoint: its registers and rings. The codec runs on another thread. */

import type { ModelDevice, ModelHandlers } from "../../model/model-description.ts";
import { getField } from "../../registers/fields.ts";
import type { CodecResult } from "../codec/jobs.ts";
import { frameLayout } from "../codec/layout.ts";
import type { CodecLink } from "../codec/pool.ts";
import { EntryBuffer } from "../contract/check.ts";
import { registers } from "../contract/registers.ts";
import {
  COMPLETION_BYTES,
  CompletionFlag,
  CompletionLayer,
  CompletionStatus,
  Opcode,
  SUBMISSION_BYTES,
  SubmitFlag,
} from "../contract/rings.ts";
import { capabilities } from "./codec-identity.ts";
import { writeCompletion } from "./completion-entry.ts";
import { EndpointFaults } from "./endpoint-faults.ts";
import { endpointMemory, findFrame } from "./endpoint-memory.ts";
import { InterruptModeration } from "./interrupt-moderation.ts";
import { HELD_PIECES, TURN_PIECES } from "./limits.ts";
import { BadValue, type RegisterName, readStreamSettings } from "./stream-settings.ts";
import { arrivedWhole, controlsAreValid, parseSubmission, type SubmissionEntry } from "./submission-entry.ts";
import { type Stream, Submissions, type Submitted } from "./submissions.ts";

/** The result of a submission. */
interface Outcome {
  readonly status: number;
  readonly flags?: number;
  readonly packetBytes?: number;
  readonly packet?: readonly Uint8Array[];
  readonly busyUs?: number;
}

const State = registers.STATUS.fields.STATE.values;
const ErrorCode = registers.ERROR.fields.CODE.values;
const { WINDOW } = registers.SPACE.fields.CODE.values;
const MAX_RING_LOG2 = getField(registers.LIMITS.fields.RING_LOG2, registers.LIMITS.reset);
const MAX_SEGMENTS = 2 ** getField(registers.LIMITS.fields.SEGMENTS_LOG2, registers.LIMITS.reset);

/** The cost of an entry itself, in pieces. */
const ENTRY_PIECES = 8;

/** What outlasts a reset: the codec may still be working on a frame of the stream before. */
export class CodecWork {
  readonly codec: CodecLink;
  readonly submissions = new Submissions();
  #lastJob = 0;

  constructor(codec: CodecLink) {
    this.codec = codec;
  }

  nextJob(): number {
    return ++this.#lastJob;
  }
}

/** The endpoint between two resets. */
export class Vp9Endpoint {
  readonly #device: ModelDevice<typeof registers>;
  readonly #work: CodecWork;
  readonly #codec: CodecLink;
  readonly #submissions: Submissions;
  readonly #moderation: InterruptModeration;

  #stream: Stream | undefined;
  /** Cancels taking the ring's further entries, which waits for its turn. */
  #cancelMore: (() => void) | undefined;
  readonly #faults: EndpointFaults;
  /** Results that a fault holds back, in their order, and what cancels letting the first one go. */
  readonly #held: CodecResult[] = [];
  #cancelLetGo: (() => void) | undefined;
  #frames = 0;
  #bytes = 0;
  #busyUs = 0;

  readonly #entry = new EntryBuffer(SUBMISSION_BYTES);

  constructor(device: ModelDevice<typeof registers>, work: CodecWork) {
    this.#device = device;
    this.#work = work;
    this.#codec = work.codec;
    this.#submissions = work.submissions;
    this.#moderation = new InterruptModeration(device);
    this.#faults = new EndpointFaults(device);
    device.set("CODEC", this.#codec.identity);
    device.set("CAPS", capabilities(this.#codec.identity));
    device.onReadable(this.#codec.bell, () => this.#onResults(this.#codec.take()));
    device.onReset(() => this.#stop());
  }

  get handlers(): ModelHandlers<typeof registers> {
    return {
      FRAMES_LO: { read: () => this.#latch("FRAMES_HI", this.#frames) },
      BYTES_LO: { read: () => this.#latch("BYTES_HI", this.#bytes) },
      BUSY_US_LO: { read: () => this.#latch("BUSY_US_HI", this.#busyUs) },
      COMMAND: { write: (code) => this.#command(code) },
      SQ_TAIL: {
        write: (tail) => {
          this.#device.set("SQ_TAIL", tail);
          this.#takeSubmissions();
        },
      },
      IRQ_STATUS: { write: (mask) => this.#moderation.clear(mask) },
      IRQ_ENABLE: { write: (mask) => this.#moderation.enable(mask) },
    };
  }

  #latch(high: RegisterName, value: number): number {
    this.#device.set(high, Math.floor(value / 2 ** 32));
    return value >>> 0;
  }

  /** Adds 1, modulo 2^32. */
  #count(register: RegisterName): void {
    this.#device.set(register, (this.#device.get(register) + 1) >>> 0);
  }

  #command(code: number): void {
    const { START, STOP, RESET } = registers.COMMAND.fields.CODE.values;
    if (code === RESET) return this.#device.reset();
    if (code === STOP) {
      this.#stop();
      return this.#setState(State.IDLE);
    }
    if (code !== START || this.#device.get("STATUS") !== State.IDLE) return this.#fail(ErrorCode.BAD_COMMAND);
    this.#device.set("ERROR", 0);
    for (const name of ["SQ_TAIL", "SQ_HEAD", "CQ_TAIL"] as const) this.#device.set(name, 0);
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
    const get = (name: RegisterName) => this.#device.get(name);
    const settings = readStreamSettings(get);
    const log2 = get("RING_LOG2");
    if (get("SPACE") > 1) throw new BadValue("SPACE");
    if (log2 < 1 || log2 > MAX_RING_LOG2) throw new BadValue("RING_LOG2");
    if (get("SQ_LO") % 64) throw new BadValue("SQ_LO");
    if (get("CQ_LO") % 64) throw new BadValue("CQ_LO");
    const inWindow = get("SPACE") === WINDOW;
    const stream: Stream = {
      memory: endpointMemory(this.#device, inWindow),
      inWindow,
      submissions: get("SQ_LO") + get("SQ_HI") * 2 ** 32,
      completions: get("CQ_LO") + get("CQ_HI") * 2 ** 32,
      entries: 1 << log2,
      frameBytes: frameLayout(settings).sizeBytes,
      openJob: this.#work.nextJob(),
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
    this.#device.set("ERROR", 0);
    this.#device.set("STATUS", State.IDLE);
    this.#moderation.forget();
    this.#cancelLetGo?.();
    this.#cancelLetGo = undefined;
    for (const result of this.#held.splice(0)) this.#finish(result);
    this.#submissions.end(this.#codec.close(this.#work.nextJob()));
  }

  #fail(code: number, register?: RegisterName): void {
    this.#stream = undefined;
    this.#device.set("ERROR", code | ((register ? registers[register].offset : 0) << 16));
    this.#setState(State.FAILED);
  }

  #failRing(stream: Stream): void {
    this.#logFault(stream);
    this.#fail(ErrorCode.RING_FAULT);
  }

  #setState(state: number): void {
    this.#device.set("STATUS", state);
    this.#moderation.stateChanged();
  }

  #mayReach(stream: Stream): boolean {
    return stream.inWindow || this.#device.busMaster;
  }

  /** Logs an address that is not mapped. One outside the window is not a bus error. */
  #logFault(stream: Stream): void {
    if (!stream.inWindow) this.#device.logUnsupportedRequest();
  }

  // Submissions

  /** Takes submissions up to SQ_TAIL, as many as this turn allows. */
  #takeSubmissions(): void {
    this.#cancelMore?.();
    this.#cancelMore = undefined;
    const stream = this.#stream;
    if (!stream || this.#device.get("STATUS") !== State.RUNNING || !this.#faults.takesSubmissions) return;
    if (!this.#mayReach(stream)) return this.#fail(ErrorCode.BUS_MASTER_OFF);
    const tail = this.#device.get("SQ_TAIL");
    const underWay = (this.#device.get("SQ_HEAD") - this.#device.get("CQ_TAIL")) >>> 0;
    // A tail that moves back looks like nearly 2^32 new entries.
    const added = (tail - this.#device.get("SQ_HEAD")) >>> 0;
    if (added + underWay > stream.entries) return this.#fail(ErrorCode.BAD_TAIL);
    let work = 0;
    for (let left = added; left > 0 && this.#stream === stream; left--) {
      if (this.#submissions.pieces >= HELD_PIECES) return;
      if (work >= TURN_PIECES) return this.#takeMoreSoon();
      const slot = this.#device.get("SQ_HEAD") % stream.entries;
      if (!stream.memory.read(stream.submissions + slot * SUBMISSION_BYTES, this.#entry.bytes))
        return this.#failRing(stream);
      this.#faults.spoil(this.#entry.bytes);
      this.#count("SQ_HEAD");
      const entry = parseSubmission(this.#entry.view);
      const segments = Math.min(entry.segments, MAX_SEGMENTS);
      const heldBefore = this.#submissions.pieces;
      this.#submit(stream, entry);
      work += ENTRY_PIECES + Math.max(segments, this.#submissions.pieces - heldBefore);
    }
  }

  #takeMoreSoon(): void {
    this.#cancelMore ??= this.#device.after(0, () => this.#takeSubmissions());
  }

  /** Hands an entry to the codec, or completes it with the reason for refusing it. */
  #submit(stream: Stream, entry: SubmissionEntry): void {
    const { opcode, tag, flags, pts, duration, segments, output, outputBytes } = entry;
    const isFrame = opcode !== Opcode.FLUSH;
    const submitted: Submitted = { stream, isFrame, tag, pts, output, outputBytes, source: [] };
    if (!arrivedWhole(this.#entry)) return this.#complete(submitted, { status: CompletionStatus.BAD_CHECK });
    const id = this.#work.nextJob();
    if (!isFrame) {
      this.#submissions.add(id, submitted);
      return this.#codec.post({ kind: "flush", id });
    }
    const known = opcode === Opcode.ENCODE && controlsAreValid(entry) && segments <= MAX_SEGMENTS;
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
    const { quantizer, bitrateKbps } = entry;
    const frame = { pieces, pts: Number(pts), duration, forceKey, quantizer, bitrateKbps };
    this.#codec.post({ kind: "encode", id, ...frame });
  }

  // Completions

  #onResults(results: readonly CodecResult[]): void {
    this.#held.push(...results);
    this.#finishHeld();
  }

  /** Finishes results up to the first that a fault holds back. */
  #finishHeld(): void {
    while (!this.#cancelLetGo) {
      const result = this.#held.shift();
      if (!result) return;
      const delayMs = this.#delayMs(result);
      if (delayMs === 0) {
        this.#finish(result);
        continue;
      }
      this.#held.unshift(result);
      this.#cancelLetGo = this.#device.after(delayMs, () => {
        this.#cancelLetGo = undefined;
        this.#finish(this.#held.shift()!);
        this.#finishHeld();
      });
    }
  }

  #delayMs({ id, busyUs }: CodecResult): number {
    const submitted = this.#submissions.get(id);
    const isWaitedFor = submitted?.isFrame && submitted.stream === this.#stream;
    return isWaitedFor ? this.#faults.takeDelayMs(busyUs) : 0;
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
    if (this.#device.get("SQ_HEAD") !== this.#device.get("SQ_TAIL")) this.#takeMoreSoon();
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
    const key = packets.some(({ key }) => key) ? CompletionFlag.KEY : 0;
    const flags = key | ((packets[0]?.layer ?? 0) << CompletionLayer.shift);
    const packet = packets.map(({ data }) => data);
    return { status: CompletionStatus.OK, flags, packetBytes, packet, busyUs };
  }

  /** Writes a completion and announces it, unless an injected fault prevents that. */
  #complete(
    { stream, isFrame, tag, pts }: Submitted,
    { status, flags = 0, packetBytes = 0, packet = [], busyUs = 0 }: Outcome,
  ): void {
    const entry = { tag, status, flags, pts, packetBytes, busyUs, packet };
    const { entries, isAnnounced } = this.#faults.complete(entry, isFrame);
    for (const one of entries) {
      if (one.status > CompletionStatus.DROPPED) this.#count("ERRORS");
      else if (isFrame) this.#frames++;
      if (isFrame && this.#submissions.idle) this.#count("STALLS");
      if (!writeCompletion(stream, this.#device.get("CQ_TAIL"), one)) return this.#failRing(stream);
      this.#count("CQ_TAIL");
    }
    if (entries.length > 0 && isAnnounced) this.#moderation.completed(!isFrame);
  }
}
