/** The most work that a doorbell can ask for: 1,024 frames of 8,192 pieces each. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { fence } from "../../src/os/access.ts";
import { registers } from "../../src/vp9/contract/registers.ts";
import {
  Opcode,
  SEGMENT_BYTES,
  Segment,
  SUBMISSION_BYTES,
  Submission,
} from "../../src/vp9/contract/rings.ts";
import { Place, Rig } from "../vp9/model/stream-rig.ts";
import { startServer, until } from "./rig.ts";

const ENTRIES = 1024;
const SEGMENTS = 8192;
/** 8,704 pixels, 13,056 bytes: pieces of one and two bytes. */
const [WIDTH, HEIGHT] = [128, 68];
const FRAME_BYTES = (WIDTH * HEIGHT * 3) / 2;
const MIB = 1 << 20;

/** Resident memory of a process, as it is at most until then. */
const peakMiB = (pid: number) =>
  Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]) / 1024;

test("while 1,024 frames of 8,192 pieces are taken registers are read, memory has a bound, and RESET ends it", async () => {
  await using server = await startServer("--codec=null");
  using device = server.open();
  using rig = new Rig(device, { memoryBytes: 2 * MIB });
  const before = peakMiB(server.pid);
  const [sq, cq, list] = [MIB, MIB + ENTRIES * SUBMISSION_BYTES, MIB + 256 * 1024].map((at) => rig.iova(at!));
  const segments = new DataView(new ArrayBuffer(SEGMENTS * SEGMENT_BYTES));
  for (let i = 0; i < SEGMENTS; i++) {
    segments.setBigUint64(i * SEGMENT_BYTES + Segment.ADDRESS, BigInt(rig.iova(Place.FRAME + 3 * i)), true);
    segments.setUint32(i * SEGMENT_BYTES + Segment.LENGTH, i < FRAME_BYTES - SEGMENTS ? 2 : 1, true);
  }
  rig.put(list! - rig.iova(0), new Uint8Array(segments.buffer));
  const ring = new DataView(new ArrayBuffer(ENTRIES * SUBMISSION_BYTES));
  for (let i = 0; i < ENTRIES; i++) {
    const at = i * SUBMISSION_BYTES;
    ring.setUint32(at + Submission.OPCODE, Opcode.ENCODE, true);
    ring.setUint32(at + Submission.SOURCE_BYTES, FRAME_BYTES, true);
    ring.setBigUint64(at + Submission.SOURCE, BigInt(list!), true);
    ring.setUint32(at + Submission.SEGMENTS, SEGMENTS, true);
    ring.setUint32(at + Submission.OUTPUT_BYTES, 64, true);
    ring.setBigUint64(at + Submission.OUTPUT, BigInt(rig.iova(Place.OUTPUT)), true);
    ring.setBigUint64(at + Submission.PTS, BigInt(i + 1), true);
    ring.setUint32(at + Submission.DURATION, 1, true);
  }
  rig.put(sq! - rig.iova(0), new Uint8Array(ring.buffer));
  const size = WIDTH | (HEIGHT << 16);
  const high = Math.floor(rig.iova(0) / 2 ** 32);
  await rig.run({
    CODED_SIZE: size,
    VISIBLE_SIZE: size,
    RING_LOG2: Math.log2(ENTRIES),
    SQ_LO: sq! >>> 0,
    SQ_HI: high,
    CQ_LO: cq! >>> 0,
    CQ_HI: high,
  });
  fence();
  rig.regs.SQ_TAIL.write(ENTRIES);
  // It takes more than one turn: registers are read while entries wait.
  expect(rig.regs.SQ_HEAD.read()).toBeLessThan(ENTRIES);
  await until("frames to come out while others wait", () => {
    expect(rig.regs.SQ_HEAD.read()).toBeLessThan(ENTRIES);
    return rig.regs.CQ_TAIL.read() > 20;
  });
  expect(peakMiB(server.pid) - before).toBeLessThan(300);
  rig.stop();
  expect(rig.regs.STATUS.read()).toBe(registers.STATUS.fields.STATE.values.IDLE);
  await rig.run();
  await rig.expectWorking();
}, 60_000);
