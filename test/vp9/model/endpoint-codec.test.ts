/**
 * The endpoint with a codec of the test's own making: what no real one can be brought to do here. libvpx drops frames
 * only with rc_dropframe_thresh, which the endpoint leaves at 0, and no counter gets past 2^32 in a test's time.
 */
import { expect, test } from "bun:test";
import { DmaTable } from "../../../src/model/dma.ts";
import { HandledDevice } from "../../../src/model/handled-device.ts";
import type { ModelDevice } from "../../../src/model/model-description.ts";
import { packFields } from "../../../src/registers/fields.ts";
import type { CodecJob, CodecResult } from "../../../src/vp9/codec/jobs.ts";
import { REGISTER_BYTES, registers, WINDOW_BYTES } from "../../../src/vp9/contract/registers.ts";
import {
  COMPLETION_BYTES,
  Completion,
  completionStatusName,
  Opcode,
  SUBMISSION_BYTES,
  Submission,
} from "../../../src/vp9/contract/rings.ts";
import { CodecWork, Vp9Endpoint } from "../../../src/vp9/model/endpoint.ts";
import { endpointFaultKinds } from "../../../src/vp9/model/faults.ts";
import { modelConfigSpace } from "../endpoint-config.ts";
import { CommandCode, WINDOW } from "./stream-rig.ts";

type RegisterName = keyof typeof registers;
const config = await modelConfigSpace();
const CQ = 4096;
const FRAME = 8192;
const OUTPUT = 16384;

/** A stream in the window, 16x16, whose jobs wait in `jobs` for the test to answer them. */
function open() {
  const jobs: CodecJob[] = [];
  let results: CodecResult[] = [];
  const link = {
    identity: 3,
    bell: 0,
    post: (job: CodecJob) => void jobs.push(job),
    close: (id: number) => {
      jobs.push({ kind: "close", id });
      return undefined;
    },
    take: () => results.splice(0),
  };
  let raised = 0;
  const work = new CodecWork(link);
  const endpoint = new HandledDevice({
    bars: [{ registers }, { memoryBytes: WINDOW_BYTES }],
    interrupts: {},
    barBytes: [REGISTER_BYTES, WINDOW_BYTES, 0, 0, 0, 0],
    config,
    host: { dma: new DmaTable(), raise: () => void raised++, lower: () => {}, die: () => {}, log: () => {} },
    options: new URLSearchParams(),
    faults: [],
    faultKinds: endpointFaultKinds,
    countsInterrupts: false,
    create: (device) => new Vp9Endpoint(device as ModelDevice<typeof registers>, work).handlers,
  });
  const [bar, memory] = endpoint.bars;
  if (bar?.kind !== "registers" || memory?.kind !== "memory")
    throw new Error("the BARs are not what they were");
  const word = new DataView(new ArrayBuffer(4));
  const bytes = new Uint8Array(word.buffer);
  const read = (name: RegisterName) => {
    bar.read(registers[name].offset, bytes);
    return word.getUint32(0, true);
  };
  const write = (name: RegisterName, value: number) => {
    word.setUint32(0, value, true);
    bar.write(registers[name].offset, bytes);
  };
  const answer = (result: Partial<CodecResult> = {}) => {
    const id = jobs.shift()?.id;
    if (id === undefined) throw new Error("no job waits");
    results = [{ id, packets: [], busyUs: 0, ...result }];
    endpoint.wakeups[0]!.onReadable();
  };
  const values = {
    CODED_SIZE: 16 | (16 << 16),
    VISIBLE_SIZE: 16 | (16 << 16),
    FPS_NUM: 1,
    FPS_DEN: 1,
    TIMEBASE_NUM: 1,
    TIMEBASE_DEN: 1,
    SPACE: WINDOW,
    CQ_LO: CQ,
    RING_LOG2: 4,
  } as const;
  for (const [name, value] of Object.entries(values)) write(name as RegisterName, value);
  write("COMMAND", CommandCode.START);
  return {
    endpoint,
    jobs,
    raised: () => raised,
    read,
    write,
    answer,
    bytes: (offset: number, sizeBytes: number) => memory.bytes(offset, sizeBytes),
    /** Submits a frame of 384 bytes. */
    submit(opcode: number = Opcode.ENCODE) {
      const n = read("SQ_TAIL");
      const bytes = memory.bytes(n * SUBMISSION_BYTES, SUBMISSION_BYTES);
      const entry = new DataView(bytes.buffer, bytes.byteOffset);
      entry.setUint32(Submission.TAG, n, true);
      entry.setUint32(Submission.OPCODE, opcode, true);
      entry.setUint32(Submission.SOURCE_BYTES, 384, true);
      entry.setBigUint64(Submission.SOURCE, BigInt(FRAME), true);
      entry.setUint32(Submission.OUTPUT_BYTES, 4096, true);
      entry.setBigUint64(Submission.OUTPUT, BigInt(OUTPUT), true);
      entry.setBigUint64(Submission.PTS, BigInt(n), true);
      entry.setUint32(Submission.DURATION, 1, true);
      write("SQ_TAIL", n + 1);
    },
    /** The newest completion. */
    last() {
      const bytes = memory.bytes(CQ + (read("CQ_TAIL") - 1) * COMPLETION_BYTES, COMPLETION_BYTES);
      const entry = new DataView(bytes.buffer, bytes.byteOffset);
      return {
        tag: entry.getUint32(Completion.TAG, true),
        status: completionStatusName(entry.getUint16(Completion.STATUS, true)),
        packetBytes: entry.getUint32(Completion.PACKET_BYTES, true),
        busyUs: entry.getUint32(Completion.BUSY_US, true),
        sequence: entry.getUint32(Completion.SEQUENCE, true),
      };
    },
  };
}

const packet = (sizeBytes: number, fill: number) => ({
  data: new Uint8Array(new ArrayBuffer(sizeBytes)).fill(fill),
  key: false,
  pts: 0,
});

function openRunning() {
  const stream = open();
  while (stream.jobs[0]?.kind === "close") stream.jobs.shift();
  expect(stream.jobs.map(({ kind }) => kind)).toEqual(["open"]);
  stream.answer();
  expect(stream.read("STATUS")).toBe(registers.STATUS.fields.STATE.values.RUNNING);
  return stream;
}

test("a frame that the codec gives no packet for completes as DROPPED, which is no error", () => {
  const stream = openRunning();
  stream.submit();
  stream.answer({ busyUs: 77 });
  expect(stream.last()).toEqual({ tag: 0, status: "DROPPED", packetBytes: 0, busyUs: 77, sequence: 1 });
  expect([stream.read("FRAMES_LO"), stream.read("ERRORS"), stream.read("BYTES_LO")]).toEqual([1, 0, 0]);
});

test("a frame that the codec gives up on completes as CODEC_FAILED, and the stream goes on", () => {
  const stream = openRunning();
  stream.submit();
  stream.submit();
  stream.answer({ error: "out of luck", busyUs: 5 });
  expect(stream.last()).toEqual({ tag: 0, status: "CODEC_FAILED", packetBytes: 0, busyUs: 5, sequence: 1 });
  stream.answer({ packets: [packet(10, 1)] });
  expect(stream.last()).toMatchObject({ tag: 1, status: "OK", packetBytes: 10, sequence: 2 });
  expect([stream.read("FRAMES_LO"), stream.read("ERRORS")]).toEqual([1, 1]);
});

test("a codec that refuses the settings fails the stream with CODEC_REFUSED", () => {
  const stream = open();
  while (stream.jobs[0]?.kind === "close") stream.jobs.shift();
  stream.answer({ error: "no" });
  const { values } = registers.ERROR.fields.CODE;
  expect([stream.read("STATUS"), stream.read("ERROR")]).toEqual([3, values.CODEC_REFUSED]);
});

test("several packets of one frame lie one behind the other, and count together", () => {
  const stream = openRunning();
  stream.submit();
  stream.answer({ packets: [packet(3, 1), packet(2, 2)] });
  expect(stream.last()).toMatchObject({ status: "OK", packetBytes: 5 });
  expect([...stream.bytes(OUTPUT, 6)]).toEqual([1, 1, 1, 2, 2, 0]);
  stream.submit();
  stream.answer({ packets: [packet(4096, 1), packet(1, 2)] });
  expect(stream.last()).toMatchObject({ status: "OUTPUT_TOO_SMALL", packetBytes: 4097 });
});

test("reading a counter's low half latches its high half", () => {
  const stream = openRunning();
  stream.submit();
  stream.answer({ busyUs: 2 ** 33 + 5, packets: [packet(1, 0)] });
  // Nothing was latched since power-on.
  expect(stream.read("BUSY_US_HI")).toBe(0);
  expect([stream.read("BUSY_US_LO"), stream.read("BUSY_US_HI")]).toEqual([5, 2]);
  stream.submit();
  stream.answer({ busyUs: 2 ** 32 - 1, packets: [packet(1, 0)] });
  expect(stream.read("BUSY_US_HI")).toBe(2);
  expect([stream.read("BUSY_US_LO"), stream.read("BUSY_US_HI")]).toEqual([4, 3]);
  stream.write("COMMAND", CommandCode.RESET);
  expect([stream.read("BUSY_US_HI"), stream.read("BUSY_US_LO"), stream.read("BUSY_US_HI")]).toEqual([
    0, 0, 0,
  ]);
});

test("a stall is counted whenever the codec has no frame left, and not before", () => {
  const stream = openRunning();
  for (let i = 0; i < 3; i++) stream.submit();
  const counts = [];
  for (let i = 0; i < 3; i++) {
    stream.answer({ packets: [packet(1, 0)] });
    counts.push(stream.read("STALLS"));
  }
  expect(counts).toEqual([0, 0, 1]);
});

test("moderation counts its time from the first completion that waits", () => {
  const stream = openRunning();
  stream.write("IRQ_ENABLE", 1);
  stream.write("IRQ_MODERATION", packFields(registers.IRQ_MODERATION, { COUNT: 3, TIME_US: 10_000_000 }));
  const nextMs: number[] = [];
  for (let i = 0; i < 4; i++) {
    stream.submit();
    stream.answer({ packets: [packet(1, 0)] });
    nextMs.push(stream.endpoint.nextTimeMs());
    stream.endpoint.onTime();
    expect(stream.raised()).toBe(i < 2 ? 0 : 1);
  }
  expect(nextMs[0]).toBeGreaterThan(performance.now());
  expect(nextMs[1]).toBe(nextMs[0]!);
  expect(nextMs[2]).toBe(Number.POSITIVE_INFINITY);
  expect(nextMs[3]).toBeGreaterThan(nextMs[0]!);
});

test("results that come after STOP belong to no stream, not even to the next one", () => {
  const stream = openRunning();
  stream.submit();
  const [late] = stream.jobs;
  stream.write("COMMAND", CommandCode.STOP);
  stream.write("COMMAND", CommandCode.START);
  expect(stream.jobs.map(({ kind }) => kind)).toEqual(["encode", "close", "open"]);
  expect(late!.id).toBeLessThan(stream.jobs[2]!.id);
  stream.bytes(CQ, COMPLETION_BYTES).fill(0xee);
  stream.answer({ packets: [packet(10, 9)] });
  expect(stream.bytes(CQ, COMPLETION_BYTES).every((byte) => byte === 0xee)).toBe(true);
  expect([...stream.bytes(OUTPUT, 10)]).toEqual(Array(10).fill(0));
  expect([stream.read("CQ_TAIL"), stream.read("FRAMES_LO"), stream.read("STATUS")]).toEqual([0, 0, 1]);
  stream.jobs.shift();
  stream.answer();
  expect(stream.read("STATUS")).toBe(2);
});
