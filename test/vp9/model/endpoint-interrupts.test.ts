/** When the endpoint interrupts, by MSI and by INTA#, and when it must not. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Interrupt, PciDevice } from "../../../src/device/device.ts";
import { EventFd } from "../../../src/os/eventfd.ts";
import { Command, Config } from "../../../src/pci/config-offsets.ts";
import { IrqIndex, RegionIndex } from "../../../src/protocol/vfio.ts";
import { Command as Request } from "../../../src/protocol/vfio-user.ts";
import { packFields } from "../../../src/registers/fields.ts";
import { registers } from "../../../src/vp9/contract/registers.ts";
import { Opcode } from "../../../src/vp9/contract/rings.ts";
import { LIMIT_MS, pack, type RawClient, type Server, startServer } from "../../model/rig.ts";
import { CommandCode, Rig, WINDOW } from "./stream-rig.ts";

let server: Server;
beforeAll(async () => {
  server = await startServer("--codec=null");
});
afterAll(() => server[Symbol.asyncDispose]());

const COMPLETION = 1;
const STATE = 2;
const LONGEST_US = 2 ** 24 - 1;

interface Armed extends Disposable {
  readonly rig: Rig;
  readonly msi: Interrupt;
}

/** A running stream with MSI, whose start is announced no more. */
async function arm(device: PciDevice, enable = COMPLETION, moderation = 0): Promise<Armed> {
  const rig = new Rig(device);
  const msi = device.enableInterrupts("msi", 1)[0]!;
  rig.regs.IRQ_ENABLE.write(enable);
  rig.regs.IRQ_MODERATION.write(moderation);
  await rig.run();
  rig.regs.IRQ_STATUS.clear(STATE);
  msi.take();
  return {
    rig,
    msi,
    [Symbol.dispose]() {
      device.disableInterrupts("msi");
      msi[Symbol.dispose]();
      rig[Symbol.dispose]();
    },
  };
}
const moderate = (COUNT: number, TIME_US: number) => packFields(registers.IRQ_MODERATION, { COUNT, TIME_US });

test("each completion is one MSI, also where IRQ_STATUS was not cleared since the last", async () => {
  using device = server.open();
  using armed = await arm(device);
  const { rig, msi } = armed;
  for (let i = 0; i < 3; i++) {
    expect((await rig.outcome()).status).toBe("OK");
    expect(msi.wait(LIMIT_MS)).toBe(1);
    expect(rig.regs.IRQ_STATUS.read()).toBe(COMPLETION);
  }
  expect((await rig.outcome({ opcode: 9 })).status).toBe("BAD_DESCRIPTOR");
  expect(msi.wait(LIMIT_MS)).toBe(1);
  rig.regs.IRQ_STATUS.clear(COMPLETION);
  expect(rig.regs.IRQ_STATUS.read()).toBe(0);
  expect(msi.take()).toBe(0);
});

test("IRQ_STATUS tells what happened although nothing is enabled, and each bit is cleared by itself", async () => {
  using device = server.open();
  using armed = await arm(device, 0);
  const { rig, msi } = armed;
  await rig.outcome();
  expect(rig.regs.IRQ_STATUS.read()).toBe(COMPLETION);
  rig.stop();
  expect(rig.regs.IRQ_STATUS.read()).toBe(COMPLETION | STATE);
  rig.regs.IRQ_STATUS.clear(0);
  expect(rig.regs.IRQ_STATUS.read()).toBe(COMPLETION | STATE);
  rig.regs.IRQ_STATUS.clear(COMPLETION);
  expect(rig.regs.IRQ_STATUS.read()).toBe(STATE);
  rig.regs.IRQ_STATUS.clear(0xffff_ffff);
  expect(rig.regs.IRQ_STATUS.read()).toBe(0);
  expect(msi.take()).toBe(0);
});

test("what happened before it was enabled interrupts as soon as it is", async () => {
  using device = server.open();
  using armed = await arm(device, 0);
  const { rig, msi } = armed;
  await rig.outcome();
  rig.regs.IRQ_ENABLE.write(STATE);
  expect([rig.regs.IRQ_STATUS.read(), msi.take()]).toEqual([COMPLETION, 0]);
  rig.regs.IRQ_ENABLE.write(STATE | COMPLETION);
  expect([rig.regs.IRQ_STATUS.read(), msi.take()]).toEqual([COMPLETION, 1]);
  // Once: it stays enabled.
  rig.regs.IRQ_ENABLE.write(COMPLETION);
  expect([rig.regs.IRQ_ENABLE.read(), msi.take()]).toEqual([COMPLETION, 0]);
});

test("every change of STATE interrupts, when that is enabled", async () => {
  using device = server.open();
  using armed = await arm(device, STATE);
  const { rig, msi } = armed;
  await rig.outcome();
  expect([rig.regs.IRQ_STATUS.read(), msi.take()]).toEqual([COMPLETION, 0]);
  rig.ring(1000);
  expect([rig.error(), msi.take()]).toEqual(["BAD_TAIL", 1]);
  rig.stop();
  expect(msi.take()).toBe(1);
  // STARTING and RUNNING.
  expect(await rig.start()).toBe("RUNNING");
  expect(msi.take()).toBe(2);
});

test("COUNT completions make one interrupt, and fewer none until TIME_US is over", async () => {
  using device = server.open();
  using armed = await arm(device, COMPLETION, moderate(4, LONGEST_US));
  const { rig, msi } = armed;
  for (const round of [0, 1]) {
    for (let i = 0; i < 3; i++) await rig.outcome();
    expect([round, rig.regs.IRQ_STATUS.read(), msi.take()]).toEqual([round, 0, 0]);
    await rig.outcome();
    expect([round, msi.wait(LIMIT_MS), rig.regs.IRQ_STATUS.read()]).toEqual([round, 1, COMPLETION]);
    rig.regs.IRQ_STATUS.clear(COMPLETION);
  }
});

test("TIME_US after a completion it is announced, although COUNT of them never come", async () => {
  using device = server.open();
  using armed = await arm(device, COMPLETION, moderate(255, 20_000));
  const { rig, msi } = armed;
  await rig.outcome();
  expect(msi.wait(LIMIT_MS)).toBe(1);
  expect([rig.regs.IRQ_STATUS.read(), msi.take()]).toEqual([COMPLETION, 0]);
});

test("a flush is announced at once, and what waited with it", async () => {
  using device = server.open();
  using armed = await arm(device, COMPLETION, moderate(255, LONGEST_US));
  const { rig, msi } = armed;
  await rig.outcome();
  expect([rig.regs.IRQ_STATUS.read(), msi.take()]).toEqual([0, 0]);
  await rig.outcome({ opcode: Opcode.FLUSH });
  expect([msi.wait(LIMIT_MS), rig.regs.IRQ_STATUS.read()]).toEqual([1, COMPLETION]);
});

test("STOP forgets completions that were not announced yet", async () => {
  using device = server.open();
  using armed = await arm(device, COMPLETION, moderate(2, LONGEST_US));
  const { rig, msi } = armed;
  await rig.outcome();
  rig.stop();
  await rig.run();
  await rig.outcome();
  expect([rig.regs.IRQ_STATUS.read() & COMPLETION, msi.take()]).toEqual([0, 0]);
});

test("without bus mastering there is no MSI, which is a write by the device", async () => {
  using device = server.open();
  using rig = new Rig(device, { space: WINDOW });
  using msi = device.enableInterrupts("msi", 1)[0]!;
  rig.regs.IRQ_ENABLE.write(COMPLETION);
  await rig.run();
  const command = device.config.read16(Config.COMMAND);
  device.config.write16(Config.COMMAND, command & ~Command.BUS_MASTER);
  await rig.outcome();
  expect([rig.regs.IRQ_STATUS.read() & COMPLETION, msi.take()]).toEqual([COMPLETION, 0]);
  device.config.write16(Config.COMMAND, command);
  await rig.outcome();
  expect(msi.wait(LIMIT_MS)).toBe(1);
  device.disableInterrupts("msi");
  await rig.outcome();
  expect([rig.regs.CQ_TAIL.read(), msi.take()]).toEqual([3, 0]);
});

/** INTA# by hand; a command that there is not changes the state, and so does STOP. */
class Pin implements Disposable {
  readonly client: RawClient;
  readonly event = new EventFd();

  constructor() {
    this.client = server.connect().agree();
    this.command(Command.MEMORY);
    this.write("IRQ_ENABLE", STATE);
  }

  command(bits: number): void {
    this.client.write(RegionIndex.CONFIG, Config.COMMAND, pack("2", bits));
  }

  write(name: "IRQ_ENABLE" | "IRQ_STATUS" | "COMMAND", value: number): void {
    expect(this.client.write(0, registers[name].offset, pack("4", value))).toBe(0);
  }

  /** Raises the pin. */
  fail(): void {
    this.write("COMMAND", 99);
  }

  /** SET_IRQS: 0x24 arms, 0x09 masks, 0x11 unmasks. */
  set(flags: number): void {
    const fds = flags === 0x24 ? [this.event.fd.number] : [];
    const payload = pack("44444", 20, flags, IrqIndex.INTX, 0, 1);
    expect(this.client.request(Request.DEVICE_SET_IRQS, payload, fds).errno).toBe(0);
  }

  /** Whether the device asserts it (Interrupt Status), and how many interrupts came. */
  seen(): [asserted: boolean, interrupts: number] {
    const status = this.client.read(RegionIndex.CONFIG, Config.STATUS, 1)[0]!;
    return [(status & 8) !== 0, this.event.take()];
  }

  [Symbol.dispose](): void {
    this.event[Symbol.dispose]();
    this.client[Symbol.dispose]();
  }
}

test("without MSI the level of INTA# is delivered once, until it is unmasked", () => {
  using pin = new Pin();
  pin.set(0x24);
  expect(pin.seen()).toEqual([false, 0]);
  pin.fail();
  expect(pin.seen()).toEqual([true, 1]);
  pin.fail();
  expect(pin.seen()).toEqual([true, 0]);
  // Still asserted: unmasking delivers it again.
  pin.set(0x11);
  expect(pin.seen()).toEqual([true, 1]);
  pin.write("IRQ_STATUS", STATE);
  pin.set(0x11);
  expect(pin.seen()).toEqual([false, 0]);
  pin.fail();
  expect(pin.seen()).toEqual([true, 1]);
});

test("a masked INTA# waits to be unmasked", () => {
  using pin = new Pin();
  pin.set(0x24);
  pin.set(0x09);
  pin.fail();
  expect(pin.seen()).toEqual([true, 0]);
  pin.set(0x11);
  expect(pin.seen()).toEqual([true, 1]);
});

test("INTA# that was asserted before it is armed is delivered when it is", () => {
  using pin = new Pin();
  pin.fail();
  expect(pin.seen()).toEqual([true, 0]);
  pin.set(0x24);
  expect(pin.seen()).toEqual([true, 1]);
});

test("INTx Disable holds INTA# back, but not Interrupt Status, and clearing it delivers", () => {
  using pin = new Pin();
  pin.set(0x24);
  pin.command(Command.MEMORY | Command.INTX_DISABLE);
  pin.fail();
  expect(pin.seen()).toEqual([true, 0]);
  pin.command(Command.MEMORY);
  expect(pin.seen()).toEqual([true, 1]);
  // Another write to the command register is no news.
  pin.command(Command.MEMORY);
  expect(pin.seen()).toEqual([true, 0]);
});

test("INTA# is asserted while a bit is both set and enabled, whatever else is set", () => {
  using pin = new Pin();
  pin.set(0x24);
  pin.fail();
  expect(pin.seen()).toEqual([true, 1]);
  pin.write("IRQ_ENABLE", COMPLETION);
  expect(pin.seen()).toEqual([false, 0]);
  pin.set(0x11);
  pin.write("IRQ_ENABLE", COMPLETION | STATE);
  expect(pin.seen()).toEqual([true, 1]);
  pin.write("COMMAND", CommandCode.STOP);
  pin.write("IRQ_STATUS", COMPLETION);
  expect(pin.seen()).toEqual([true, 0]);
  pin.write("COMMAND", CommandCode.RESET);
  expect(pin.seen()).toEqual([false, 0]);
});
