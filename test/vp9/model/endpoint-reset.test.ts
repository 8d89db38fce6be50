/** Resets, stops and vanishing memory while frames are under way: with libvpx, so that they are. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { PciDevice } from "../../../src/device/device.ts";
import { Command, Config } from "../../../src/pci/config-offsets.ts";
import type { RegisterTable } from "../../../src/registers/table.ts";
import { registers } from "../../../src/vp9/contract/registers.ts";
import { COMPLETION_BYTES, Opcode } from "../../../src/vp9/contract/rings.ts";
import { mappings, type Server, startServer, until } from "../../model/rig.ts";
import { openFds } from "../../os/open-fds.ts";
import { CommandCode, noise, Place, Rig, States } from "./stream-rig.ts";

let slow: Server;
let quick: Server;
beforeAll(async () => {
  [slow, quick] = await Promise.all([startServer("--codec=libvpx"), startServer("--codec=null")]);
});
afterAll(async () => {
  await Promise.all([slow[Symbol.asyncDispose](), quick[Symbol.asyncDispose]()]);
});

/** Noise of this size at the codec's slowest takes long enough to be caught at it. */
const SIDE = 384;
const SLOW = { CODED_SIZE: SIDE | (SIDE << 16), VISIBLE_SIZE: SIDE | (SIDE << 16), SPEED: 0 } as const;
const SLOW_BYTES = SIDE * SIDE * 1.5;
const SLOW_OUTPUT = 2 ** 20;
const IN_FLIGHT = 4;
const ALL_ONES = 0xffff_ffff;
const memoryAndMaster = (device: PciDevice) =>
  device.config.write16(Config.COMMAND, Command.MEMORY | Command.BUS_MASTER);

/** Frames under way, of which none is complete. */
async function busy(device: PciDevice): Promise<Rig> {
  const rig = new Rig(device, { memoryBytes: SLOW_OUTPUT + IN_FLIGHT * SLOW_BYTES });
  rig.frameBytes = SLOW_BYTES;
  rig.put(Place.FRAME, noise(SLOW_BYTES, 1));
  await rig.run(SLOW);
  for (let i = 0; i < IN_FLIGHT; i++)
    rig.fill({ outputBytes: SLOW_BYTES, output: rig.iova(SLOW_OUTPUT + i * SLOW_BYTES) });
  rig.ring();
  expect([rig.regs.SQ_HEAD.read(), rig.regs.CQ_TAIL.read()]).toEqual([IN_FLIGHT, 0]);
  return rig;
}

const resets: Record<string, (device: PciDevice) => void> = {
  "a function-level reset": (device) => {
    device.config.write16(0xc8, 0x8000 | device.config.read16(0xc8));
    expect(device.config.read16(Config.COMMAND)).toBe(0);
    expect(device.bars[0]!.read32(0)).toBe(ALL_ONES);
    memoryAndMaster(device);
  },
  DEVICE_RESET: (device) => device.reset(),
  "COMMAND.RESET": (device) => device.bars[0]!.write32(registers.COMMAND.offset, CommandCode.RESET),
};
for (const [what, reset] of Object.entries(resets)) {
  test(`${what} with frames under way brings every register back, and nothing of them comes afterwards`, async () => {
    using device = slow.open();
    using rig = await busy(device);
    // Every register that can be written is something else than it was.
    for (const { offset, mode } of Object.values(registers))
      if (mode === "rw" && offset !== registers.SQ_TAIL.offset) device.bars[0]!.write32(offset, 0x5a5a_5a5a);
    const codec = rig.regs.CODEC.read();
    reset(device);
    const values = Object.fromEntries(
      Object.entries(registers).map(([name, { offset }]) => [name, device.bars[0]!.read32(offset)]),
    );
    expect(values).toEqual({
      ...Object.fromEntries(
        Object.entries(registers as RegisterTable).map(([name, { reset }]) => [name, reset ?? 0]),
      ),
      CODEC: codec,
    });
    for (const place of [Place.CQ, SLOW_OUTPUT]) rig.clear(place, 4096, 0xee);

    // The codec's jobs are done in order: a frame of another stream comes out after the last of these.
    using next = new Rig(device);
    await next.run();
    await next.expectWorking();
    await next.expectWorking();
    for (const place of [Place.CQ, SLOW_OUTPUT])
      expect(rig.get(place, 4096).every((byte) => byte === 0xee)).toBe(true);
    expect([next.regs.FRAMES_LO.read(), next.regs.CQ_TAIL.read(), next.regs.ERRORS.read()]).toEqual([
      2, 2, 0,
    ]);
  });
}

test("STOP drops the frames under way, and the next stream starts with its own first completion", async () => {
  using device = slow.open();
  using rig = await busy(device);
  rig.stop();
  rig.clear(SLOW_OUTPUT, 4096, 0xee);
  rig.frameBytes = 64 * 48 * 1.5;
  await rig.run();
  expect(await rig.outcome({ tag: 5 })).toMatchObject({ tag: 5, status: "OK", sequence: 1 });
  expect(rig.get(SLOW_OUTPUT, 4096).every((byte) => byte === 0xee)).toBe(true);
  expect(rig.get(Place.CQ + COMPLETION_BYTES, COMPLETION_BYTES).every((byte) => byte === 0)).toBe(true);
});

test("a tail that goes back behind what was taken is BAD_TAIL, also with frames under way", async () => {
  using device = slow.open();
  using rig = await busy(device);
  rig.ring(IN_FLIGHT - 1);
  expect([rig.regs.STATUS.read(), rig.error(), rig.regs.SQ_HEAD.read()]).toEqual([
    States.FAILED,
    "BAD_TAIL",
    IN_FLIGHT,
  ]);
});

test("frames under way keep their memory when it is unmapped, and give it back when they are done", async () => {
  using device = slow.open();
  const mapped = () => mappings(slow.pid, "memfd:vfiokit-dma");
  // The tests before left frames to the codec.
  await until("their memory to be unmapped", () => mapped() === 0);
  using rig = await busy(device);
  using frame = device.allocateDma(SLOW_BYTES);
  frame.bytes().set(noise(SLOW_BYTES, 2));
  rig.submit({ source: frame.iova, outputBytes: SLOW_BYTES });
  expect(mapped()).toBe(2);
  const { iova } = frame;
  frame[Symbol.dispose]();
  // Unmapped as far as new frames go.
  rig.submit({ tag: 99, source: iova });
  expect(await rig.complete()).toMatchObject({ tag: 99, status: "SOURCE_FAULT" });
  expect(rig.regs.CQ_TAIL.read()).toBe(1);
  expect(mapped()).toBe(2);
  for (let i = 0; i <= IN_FLIGHT; i++) expect((await rig.complete()).status).toBe("OK");
  expect(mapped()).toBe(1);
}, 10_000);

test("a client that leaves with frames under way takes its memory along once they are done", async () => {
  {
    using device = slow.open();
    const rig = await busy(device);
    // The stream is left running.
    expect(rig.regs.STATUS.read()).toBe(States.RUNNING);
  }
  using device = slow.open();
  using rig = new Rig(device);
  await rig.run();
  // Another codec works for it, perhaps while the last one's frame is not done.
  await rig.expectWorking();
  await until("memory to be given back", () => mappings(slow.pid, "memfd:vfiokit-dma") === 1);
});

test("bus mastering switched off with frames under way fails the stream, and nothing more is written", async () => {
  using device = slow.open();
  using rig = await busy(device);
  device.config.write32(0x104, ALL_ONES);
  device.config.write16(Config.COMMAND, Command.MEMORY);
  await until("the stream to fail", () => rig.regs.STATUS.read() === States.FAILED);
  expect(rig.error()).toBe("BUS_MASTER_OFF");
  memoryAndMaster(device);
  expect(rig.take()).toBeUndefined();
  expect(rig.get(SLOW_OUTPUT, 4096).every((byte) => byte === 0)).toBe(true);
  expect([rig.regs.CQ_TAIL.read(), device.config.read32(0x104)]).toEqual([0, 0]);
  rig.frameBytes = 64 * 48 * 1.5;
  rig.stop();
  await rig.run();
  await rig.expectWorking();
});

test("with bus mastering off a doorbell fails the stream, and no submission is read", async () => {
  using device = quick.open();
  using rig = new Rig(device);
  await rig.run();
  device.config.write16(Config.COMMAND, Command.MEMORY);
  rig.submit();
  expect([rig.regs.STATUS.read(), rig.error(), rig.regs.SQ_HEAD.read()]).toEqual([
    States.FAILED,
    "BUS_MASTER_OFF",
    0,
  ]);
});

test("counters count frames, bytes and errors of all streams since the last reset, and busy time", async () => {
  using device = quick.open();
  using rig = new Rig(device);
  let busyUs = 0;
  for (let stream = 0; stream < 2; stream++) {
    await rig.run();
    for (let i = 0; i < 5; i++) busyUs += (await rig.outcome()).busyUs;
    expect((await rig.outcome({ opcode: 7 })).status).toBe("BAD_DESCRIPTOR");
    expect((await rig.outcome({ source: 0 })).status).toBe("SOURCE_FAULT");
    busyUs += (await rig.outcome({ outputBytes: 3 })).busyUs;
    expect((await rig.outcome({ opcode: Opcode.FLUSH })).status).toBe("OK");
    rig.stop();
  }
  const { regs } = rig;
  expect([regs.FRAMES_LO.read(), regs.FRAMES_HI.read()]).toEqual([10, 0]);
  expect([regs.BYTES_LO.read(), regs.BYTES_HI.read()]).toEqual([160, 0]);
  expect(regs.ERRORS.read()).toBe(6);
  expect(busyUs).toBeGreaterThan(0);
  // A flush is the codec's work, too.
  expect(regs.BUSY_US_LO.read()).toBeGreaterThanOrEqual(busyUs);
  regs.COMMAND.write(CommandCode.RESET);
  expect([regs.FRAMES_LO, regs.BYTES_LO, regs.ERRORS, regs.BUSY_US_LO].map((r) => r.read())).toEqual([
    0, 0, 0, 0,
  ]);
});

test("300 streams started and stopped leave the model's descriptors and mappings as they were", async () => {
  using device = quick.open();
  const cycle = async () => {
    using rig = new Rig(device);
    await rig.run();
    await rig.expectWorking();
    rig.stop();
  };
  for (let i = 0; i < 20; i++) await cycle();
  const state = () => [openFds(quick.pid), mappings(quick.pid, "memfd:")];
  const before = state();
  for (let i = 0; i < 300; i++) await cycle();
  expect(state()).toEqual(before);
}, 20_000);
