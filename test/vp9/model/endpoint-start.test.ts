/** From the registers to a stream that runs, or to the reason why it does not. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { PciDevice } from "../../../src/device/device.ts";
import { openDevice } from "../../../src/index.ts";
import { Command, Config } from "../../../src/pci/config-offsets.ts";
import { DEFAULT, registers } from "../../../src/vp9/contract/registers.ts";
import { SUBMISSION_BYTES } from "../../../src/vp9/contract/rings.ts";
import { settings } from "../../../src/vp9/contract/settings.ts";
import { until } from "../../model/rig.ts";
import { CommandCode, type RegisterValues, Rig, States, WINDOW } from "./stream-rig.ts";

let device: PciDevice;
beforeAll(() => {
  device = openDevice("model:vp9?codec=null");
});
afterAll(() => device[Symbol.dispose]());

const UNSUPPORTED_REQUEST = 1 << 20;
const aerStatus = () => device.config.read32(0x104);
const clearAer = () => device.config.write32(0x104, 0xffff_ffff);
const size = (width: number, height: number) => width | (height << 16);

const refused: [RegisterValues, string][] = [
  [{ CODED_SIZE: size(0, 48) }, "CODED_SIZE"],
  [{ CODED_SIZE: size(64, 0) }, "CODED_SIZE"],
  [{ CODED_SIZE: size(4097, 48) }, "CODED_SIZE"],
  [{ CODED_SIZE: 0xffff_ffff }, "CODED_SIZE"],
  [{ VISIBLE_SIZE: size(0, 48) }, "VISIBLE_SIZE"],
  [{ VISIBLE_SIZE: size(64, 0) }, "VISIBLE_SIZE"],
  [{ VISIBLE_SIZE: size(65, 48) }, "VISIBLE_SIZE"],
  [{ VISIBLE_SIZE: size(64, 49) }, "VISIBLE_SIZE"],
  [{ FORMAT: 13 }, "FORMAT"],
  [{ FORMAT: 0xffff_ffff }, "FORMAT"],
  [{ FPS_NUM: 0 }, "FPS_NUM"],
  [{ FPS_DEN: 0 }, "FPS_DEN"],
  [{ TIMEBASE_NUM: 0 }, "TIMEBASE_NUM"],
  [{ TIMEBASE_DEN: 0 }, "TIMEBASE_DEN"],
  [{ TIMEBASE_DEN: 1_000_000_001 }, "TIMEBASE_DEN"],
  [{ RATE_CONTROL: 4 }, "RATE_CONTROL"],
  [{ BITRATE: 0 }, "BITRATE"],
  [{ BITRATE: 1_000_001 }, "BITRATE"],
  [{ CQ_LEVEL: 64 }, "CQ_LEVEL"],
  [{ GOP: 1_000_001 }, "GOP"],
  [{ SPEED: 10 }, "SPEED"],
  [{ SPEED: 0xf6 }, "SPEED"],
  [{ SPEED: 0x100 }, "SPEED"],
  [{ SPEED: 0xffff_fff7 }, "SPEED"],
  [{ THREADS: 0 }, "THREADS"],
  [{ THREADS: 65 }, "THREADS"],
  [{ TEMPORAL_LAYERS: 0 }, "TEMPORAL_LAYERS"],
  [{ TEMPORAL_LAYERS: 4 }, "TEMPORAL_LAYERS"],
  [{ SPACE: 2 }, "SPACE"],
  [{ RING_LOG2: 0 }, "RING_LOG2"],
  [{ RING_LOG2: 11 }, "RING_LOG2"],
  [{ RING_LOG2: 32 }, "RING_LOG2"],
  [{ SQ_LO: 0x20 }, "SQ_LO"],
  [{ CQ_LO: 0x3f }, "CQ_LO"],
  ...Object.values(settings).flatMap(({ register }) =>
    [registers[register].range[1] + 1, DEFAULT - 1].map((value): [RegisterValues, string] => [
      { [register]: value },
      register,
    ]),
  ),
];

for (const [values, field] of refused) {
  const [name, value] = Object.entries(values)[0]!;
  test(`START refuses ${name} = 0x${value.toString(16)} and names ${field}`, async () => {
    using rig = new Rig(device);
    rig.setUp(values);
    expect([await rig.start(), rig.error()]).toEqual(["FAILED", `BAD_VALUE ${field}`]);
  });
}

test("START takes settings at the ends of their ranges", async () => {
  using rig = new Rig(device);
  const ends: RegisterValues[] = [
    { VISIBLE_SIZE: size(1, 1), CODED_SIZE: size(1, 1) },
    { CODED_SIZE: size(4096, 4096) },
    { FORMAT: 1, RATE_CONTROL: 2, CQ_LEVEL: 63, GOP: 0, SPEED: 9, THREADS: 64, BITRATE: 1_000_000 },
    { RATE_CONTROL: 1, CQ_LEVEL: 0, GOP: 1_000_000, SPEED: 0xf7, BITRATE: 1, TIMEBASE_DEN: 1_000_000_000 },
    { RING_LOG2: 1 },
    { SPACE: WINDOW, SQ_LO: 0, SQ_HI: 0, CQ_LO: 8 * 2 ** 20 - 32 * 1024, CQ_HI: 0, RING_LOG2: 10 },
  ];
  for (const values of ends) {
    await rig.run(values);
    rig.stop();
  }
});

test("after BAD_VALUE another START is refused until STOP, and then works", async () => {
  using rig = new Rig(device);
  rig.setUp({ FORMAT: 7 });
  await rig.start();
  expect([await rig.start(), rig.error()]).toEqual(["FAILED", "BAD_COMMAND"]);
  rig.stop();
  expect(rig.error()).toBe("NONE");
  await rig.run();
  await rig.expectWorking();
});

test("without bus mastering START fails with BUS_MASTER_OFF, and the window still works", async () => {
  using rig = new Rig(device);
  const command = device.config.read16(Config.COMMAND);
  try {
    clearAer();
    device.config.write16(Config.COMMAND, command & ~Command.BUS_MASTER);
    expect([await rig.start(), rig.error()]).toEqual(["FAILED", "BUS_MASTER_OFF"]);
    expect(aerStatus()).toBe(0);
    using window = new Rig(device, { space: WINDOW });
    await window.run();
    await window.expectWorking();
  } finally {
    device.config.write16(Config.COMMAND, command);
  }
});

const faultyRings: Record<string, (rig: Rig) => RegisterValues> = {
  "a submission ring at 0": () => ({ SQ_LO: 0, SQ_HI: 0 }),
  "a completion ring at 0": () => ({ CQ_LO: 0, CQ_HI: 0 }),
  "a submission ring whose end is not mapped": (rig) => {
    const at = rig.iova(rig.memory!.sizeBytes - 64);
    return { SQ_LO: at >>> 0, SQ_HI: Math.floor(at / 2 ** 32), RING_LOG2: 1 };
  },
  "a ring near 2^64": () => ({ CQ_LO: 0xffff_ffc0, CQ_HI: 0xffff_ffff }),
};
for (const [what, values] of Object.entries(faultyRings)) {
  test(`${what} makes START fail with RING_FAULT, logged in AER and Device Status`, async () => {
    using rig = new Rig(device);
    clearAer();
    device.config.write16(0xca, 0xf);
    rig.setUp(values(rig));
    expect([await rig.start(), rig.error()]).toEqual(["FAILED", "RING_FAULT"]);
    expect(aerStatus()).toBe(UNSUPPORTED_REQUEST);
    expect(device.config.read32(0x118) & 0x1f).toBe(20);
    expect(device.config.read16(0xca) & 0b1000).toBe(0b1000);
  });
}

test("rings outside the window make START fail with RING_FAULT, which is no error of the bus", async () => {
  using rig = new Rig(device, { space: WINDOW });
  for (const values of [
    { CQ_LO: 8 * 2 ** 20 },
    { CQ_LO: 8 * 2 ** 20 - 64 },
    { SQ_HI: 1 },
    { SQ_HI: 0xffff_ffff },
  ]) {
    clearAer();
    rig.setUp(values);
    expect([await rig.start(), rig.error()]).toEqual(["FAILED", "RING_FAULT"]);
    expect(aerStatus()).toBe(0);
    rig.stop();
  }
});

test("a command that there is not, and START of a stream that runs, fail it with BAD_COMMAND", async () => {
  using rig = new Rig(device);
  for (const code of [0, 4, 0xff, 0x101, 0xffff_ffff]) {
    rig.regs.COMMAND.write(code);
    expect([rig.regs.STATUS.read(), rig.error()]).toEqual([States.FAILED, "BAD_COMMAND"]);
    rig.stop();
  }
  await rig.run();
  expect([await rig.start(), rig.error()]).toEqual(["FAILED", "BAD_COMMAND"]);
  rig.submit();
  expect(rig.regs.SQ_HEAD.read()).toBe(0);
});

test("a stream that failed while it was starting stays failed when its codec is ready", async () => {
  using rig = new Rig(device);
  rig.regs.COMMAND.write(CommandCode.START);
  rig.regs.COMMAND.write(CommandCode.START);
  expect([rig.regs.STATUS.read(), rig.error()]).toEqual([States.FAILED, "BAD_COMMAND"]);
  // Nothing tells when the codec is ready for a stream that failed; it takes far less than this.
  for (let i = 0; i < 20; i++) {
    await Bun.sleep(1);
    expect([rig.regs.STATUS.read(), rig.error()]).toEqual([States.FAILED, "BAD_COMMAND"]);
  }
});

test("a doorbell rung while the stream is starting is heard", async () => {
  using rig = new Rig(device);
  rig.regs.COMMAND.write(CommandCode.START);
  rig.submit();
  expect((await rig.complete()).status).toBe("OK");
});

test("more submissions than the ring holds, or fewer than before, fail the stream with BAD_TAIL", async () => {
  using rig = new Rig(device, { ringLog2: 2 });
  await rig.run();
  rig.ring(5);
  expect([rig.regs.STATUS.read(), rig.error(), rig.regs.SQ_HEAD.read()]).toEqual([
    States.FAILED,
    "BAD_TAIL",
    0,
  ]);
  rig.stop();
  await rig.run();
  for (let i = 0; i < 3; i++) await rig.expectWorking();
  for (const tail of [2, 8, 0xffff_ffff]) {
    rig.ring(tail);
    expect([tail, rig.regs.STATUS.read(), rig.error()]).toEqual([tail, States.FAILED, "BAD_TAIL"]);
    rig.stop();
    await rig.run();
    for (let i = 0; i < 3; i++) await rig.expectWorking();
  }
  // The same tail again is nothing new.
  rig.ring(3);
  expect(rig.regs.STATUS.read()).toBe(States.RUNNING);
  rig.ring(2 ** 32 - 1);
  expect(rig.regs.SQ_HEAD.read()).toBe(3);
});

test("START takes up the ring registers: what is written to them later is for the next stream", async () => {
  using rig = new Rig(device);
  await rig.run();
  rig.setUp({
    SPACE: WINDOW,
    SQ_LO: 0,
    SQ_HI: 0,
    CQ_LO: 64,
    CQ_HI: 0,
    RING_LOG2: 1,
    CODED_SIZE: size(16, 16),
  });
  for (let i = 0; i < 5; i++) await rig.expectWorking();
  rig.setUp({ RING_LOG2: 31 });
  for (let i = 0; i < 20; i++) await rig.expectWorking();
});

test("a ring whose memory is unmapped while the stream runs fails it with RING_FAULT at the next doorbell", async () => {
  using rig = new Rig(device);
  using ring = device.allocateDma(SUBMISSION_BYTES << 4);
  await rig.run({ SQ_LO: ring.iova >>> 0, SQ_HI: Math.floor(ring.iova / 2 ** 32) });
  clearAer();
  ring[Symbol.dispose]();
  rig.ring(1);
  expect([rig.regs.STATUS.read(), rig.error()]).toEqual([States.FAILED, "RING_FAULT"]);
  expect(aerStatus()).toBe(UNSUPPORTED_REQUEST);
});

test("read-only registers keep their values, whatever is written to the register file", () => {
  using rig = new Rig(device);
  const bar = device.bars[0]!;
  const readOnly = Object.values(registers).filter(({ mode }) => mode === "ro");
  const before = readOnly.map(({ offset }) => bar.read32(offset));
  for (const { offset } of readOnly) bar.write32(offset, 0xffff_ffff);
  expect(readOnly.map(({ offset }) => bar.read32(offset))).toEqual(before);
  // Neither do offsets keep anything that the table does not have.
  for (const offset of [0x01c, 0x060, 0x0b4, 0x35c, 0xffc]) {
    bar.write32(offset, 0xffff_ffff);
    expect(bar.read32(offset)).toBe(0);
  }
  expect(rig.regs.STATUS.read()).toBe(States.IDLE);
});

test("STOP and START again and again give a stream that works each time", async () => {
  using rig = new Rig(device);
  for (let i = 0; i < 20; i++) {
    await rig.run();
    await rig.expectWorking();
    await rig.expectWorking();
    expect([rig.regs.SQ_HEAD.read(), rig.regs.CQ_TAIL.read()]).toEqual([2, 2]);
    rig.stop();
  }
  await until("the endpoint to be idle", () => rig.regs.STATUS.read() === States.IDLE);
});
