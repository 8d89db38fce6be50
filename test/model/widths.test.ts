/** Registers of all widths in a model: in this process and behind the protocol the same accesses give the same answers. */
import { afterAll, describe, expect, test } from "bun:test";
import { DeviceError, openDevice, openRegisters, type PciDevice } from "../../src/index.ts";
import { openModel } from "../../src/model/in-process.ts";
import { RegisterFile } from "../../src/model/register-file.ts";
import model, { commands, far, registers } from "./widths.model.ts";

const file = new URL("./widths.model.ts", import.meta.url).pathname;

describe.each<[string, () => Promise<PciDevice>]>([
  ["in this process", () => openModel(model, { log: () => {} })],
  ["over the protocol", async () => openDevice(`model:${file}`)],
])("%s", (_, open) => {
  const opened = open();
  afterAll(async () => (await opened)[Symbol.dispose]());
  const regs = async () => openRegisters(registers, (await opened).bars[0]!);
  const bar = async () => (await opened).bars[0]!;

  test("each width has its own register, byte by byte", async () => {
    const { KIND, LANE, LENGTH, ADDRESS } = await regs();
    expect(KIND.read()).toBe(0x7f);
    for (const [i, lane] of LANE.entries()) lane.write(0x10 + i);
    expect(LANE.map((lane) => lane.read())).toEqual([0x10, 0x11, 0x12, 0x13]);
    expect((await bar()).read32(registers.LANE.offset)).toBe(0x1312_1110);
    (await bar()).write32(registers.LANE.offset, 0x2322_2120);
    expect(LANE[3]!.read()).toBe(0x23);
    LENGTH.write(0x1234);
    expect((await bar()).read8(registers.LENGTH.offset)).toBe(0x12);
    ADDRESS.write(0x1122_3344_5566_7788n);
    expect((await bar()).read32(registers.ADDRESS.offset + 4)).toBe(0x1122_3344);
    expect((await bar()).read8(registers.ADDRESS.offset + 7)).toBe(0x11);
  });

  test("a 64-bit register is written by halves, which join up, also for a handler", async () => {
    const io = await bar();
    io.write32(registers.ADDRESS.offset, 0x9abc_def0);
    io.write32(registers.ADDRESS.offset + 4, 0x1234_5678);
    expect((await regs()).ADDRESS.read()).toBe(0x1234_5678_9abc_def0n);
    io.write32(registers.DOUBLED.offset, 3);
    io.write32(registers.DOUBLED.offset + 4, 1);
    expect((await regs()).DOUBLED.read()).toBe(0x2_0000_0006n);
  });

  test("a write of a part of a register is refused, and changes nothing", async () => {
    const io = await bar();
    const { PLAIN } = await regs();
    PLAIN.write(5);
    expect(() => io.write8(registers.PLAIN.offset, 9)).toThrow(DeviceError);
    expect(() => io.write16(registers.PLAIN.offset + 2, 9)).toThrow("EINVAL");
    expect(PLAIN.read()).toBe(5);
    expect(() => io.write8(registers.ADDRESS.offset, 9)).toThrow(DeviceError);
  });

  test("rc is cleared by a read, w1c by ones, w1s sets ones", async () => {
    const { EVENTS, FLAGS, GATES, RAISE } = await regs();
    RAISE.write(6);
    expect([EVENTS.read(), EVENTS.read()]).toEqual([6, 0]);
    expect(FLAGS.read()).toBe(6);
    FLAGS.clear(2);
    expect(FLAGS.read()).toBe(4);
    GATES.set(1);
    GATES.set(4);
    expect(GATES.read()).toBe(5);
  });

  test("a handler of an array learns which one", async () => {
    const { BELL, HEAD } = await regs();
    BELL[1]!.write(7);
    BELL[2]!.write(9);
    expect(HEAD.map((head) => head.read())).toEqual([0, 7, 9]);
  });

  test("I/O space: its BAR says so, and answers only while I/O is decoded", async () => {
    const device = await opened;
    const { PORT, DATA } = openRegisters(commands, device.bars[2]!);
    PORT.write(3);
    DATA.write(0x1234);
    expect([PORT.read(), DATA.read(), device.bars[2]!.sizeBytes]).toEqual([3, 0x1234, 8]);
    expect(device.config.read32(0x18) & 3).toBe(1);
    const command = device.config.read16(4);
    expect(command & 1).toBe(1);
    device.config.write16(4, command & ~1);
    expect(PORT.read()).toBe(0xff);
    device.config.write16(4, command);
    expect(PORT.read()).toBe(3);
  });

  test("a BAR of registers may have 64-bit addresses, and a device no INTx", async () => {
    const device = await opened;
    const { FAR } = openRegisters(far, device.bars[3]!);
    FAR.write(0x1234);
    expect([FAR.read(), device.config.read32(0x1c) & 0xf, device.bars[4]!.sizeBytes]).toEqual([
      0x1234, 0xc, 0,
    ]);
    expect((["intx", "msi", "msix"] as const).map((kind) => device.interruptCount(kind))).toEqual([0, 1, 0]);
  });

  test("capabilities by name", async () => {
    const { config } = await opened;
    expect([config.read8(0x34), config.read8(0x40 + 2), config.read8(0x43)]).toEqual([0x80, 5, 0xaa]);
    expect(config.read16(0xc2) >>> 4).toBe(0); // an endpoint
    expect(config.read32(0x150) & 0xffff).toBe(3);
    expect([config.read32(0x154), config.read32(0x158)]).toEqual([0x5566_7788, 0x1122_3344]);
  });
});

test("an access of no bytes touches no register, wherever it points", () => {
  const none = () => undefined;
  const table = {
    EVENTS: { offset: 0, mode: "rc", reset: 5, about: "" },
    LIMIT: { offset: 4, mode: "rw", about: "" },
  } as const;
  const file = new RegisterFile(table, { read: none, write: none });
  for (const offset of [0, 2, 4, 6]) {
    file.read(offset, new Uint8Array());
    file.write(offset, new Uint8Array());
  }
  expect(file.get("EVENTS")).toBe(5);
});
