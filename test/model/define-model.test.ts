/** Models from tables and handlers. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { defineModel, type ModelDescription, parseModelSpec, startModel } from "../../src/exports/model.ts";
import { DeviceError, openDevice, openRegisters, type PciDevice } from "../../src/index.ts";
import { Config } from "../../src/pci/config-offsets.ts";
import { registers } from "./counter.model.ts";
import { tempFolder } from "./rig.ts";

setDefaultTimeout(30_000);

const FILE = join(import.meta.dir, "./counter.model.ts");
const open = (query = "") => openDevice(`model:${FILE}${query}`);
const io = (device: PciDevice) => openRegisters(registers, device.bars[0]!);

describe("a model of a table and handlers", () => {
  test("has the ids, the BARs and the reset values that it describes", () => {
    using device = open();
    const id = (offset: number) => device.config.read16(offset);
    expect([id(Config.VENDOR_ID), id(Config.DEVICE_ID), id(Config.SUBSYSTEM_ID)]).toEqual([
      0x1234, 0xc0de, 0xc0de,
    ]);
    expect(device.bars.map(({ sizeBytes }) => sizeBytes)).toEqual([4096, 0, 65_536, 0, 0, 0]);
    const { IDENTITY, LIMIT, COUNT } = io(device);
    expect([IDENTITY.read(), LIMIT.read(), COUNT.read()]).toEqual([0xc0de_0001, 10, 0]);
  });

  test("stores what its registers' modes let software write, and nothing else", () => {
    using device = open();
    const bar = device.bars[0]!;
    io(device).LIMIT.write(3);
    bar.write32(registers.IDENTITY.offset, 5);
    bar.write32(0x100, 5);
    expect([io(device).LIMIT.read(), io(device).IDENTITY.read(), bar.read32(0x100)]).toEqual([
      3, 0xc0de_0001, 0,
    ]);
    expect(bar.read32(registers.FAIL.offset)).toBe(0); // write-only
  });

  test("works by its timers, and tells by an interrupt, in the host's memory and in its own", () => {
    using device = open("?period=2");
    using msi = device.enableInterrupts("msi", 1)[0]!;
    using memory = device.allocateDma(4096, { addressBits: 32 });
    const { LIMIT, TARGET, CONTROL, STATUS, COUNT } = io(device);
    LIMIT.write(5);
    TARGET.write(Number(memory.iova));
    CONTROL.write(1);
    expect(msi.wait(5000)).toBe(1);
    expect([COUNT.read(), STATUS.read(), memory.read32(0), device.bars[2]!.read32(0)]).toEqual([5, 1, 5, 5]);
    STATUS.clear(1);
    expect(STATUS.read()).toBe(0);
  });

  test("is as at power-on after a reset, and its timers are gone", async () => {
    using device = open("?period=5");
    const { LIMIT, CONTROL, COUNT } = io(device);
    LIMIT.write(1000);
    CONTROL.write(1);
    while (COUNT.read() < 2) await Bun.sleep(1);
    device.bars[2]!.write32(0, 7);
    device.reset();
    await Bun.sleep(30);
    expect([COUNT.read(), LIMIT.read(), CONTROL.read(), device.bars[2]!.read32(0)]).toEqual([0, 10, 0, 0]);
  });

  test("goes on when a handler throws, which is an error of that access", async () => {
    using folder = tempFolder();
    const lines: string[] = [];
    const socketPath = `${folder.path}/counter.sock`;
    const log = (line: string) => void lines.push(line);
    const running = await startModel({
      model: parseModelSpec(`model:${FILE}`),
      clients: { socketPath },
      log,
    });
    {
      using device = openDevice(`vfio-user:${socketPath}`);
      expect(() => io(device).FAIL.write(9)).toThrow(DeviceError);
      expect(() => io(device).FAIL.write(9)).toThrow("EIO");
      expect(io(device).IDENTITY.read()).toBe(0xc0de_0001);
    }
    running.stop();
    await running.ended;
    expect(
      lines.filter((line) => line.startsWith("a write of 0x9 to FAIL failed: Error: told to")).length,
    ).toBe(2);
  });

  test("is named by its file, and has the options that it says", () => {
    expect(() => open("?speed=3")).toThrow("the model ended while it started");
    expect(() => openDevice("model:./no-such.model.ts")).toThrow("there is no file /");
    expect(() => openDevice(`model:${FILE}?period=1&period=2`)).toThrow("period is given twice");
  });
});

const CREATE = { create: () => ({}) };
const ID = { vendor: 0x1234, device: 2 };
test.each<[string, Partial<ModelDescription>, string]>([
  [
    "a BAR of 3,000 bytes",
    { bars: [{ memoryBytes: 3000 }] },
    "BAR0 has 3000 bytes; it must be a power of two from 4096 to 2147483648, such as 4096",
  ],
  [
    "an id of 17 bits",
    { id: { vendor: 65_536, device: 2 } },
    "id.vendor is 65536; it must be a whole number of 16 bits",
  ],
  [
    "a reset value of 33 bits",
    { bars: [{ registers: { A: { offset: 4, mode: "rw", about: "", reset: 2 ** 32 } } }] },
    "BAR0: the reset value of A is 4294967296; it must be a whole number of 32 bits",
  ],
  ["seven BARs", { bars: Array.from({ length: 7 }, () => undefined) }, "7 BARs; a device has at most 6"],
  [
    "a BAR that ends before its registers",
    { bars: [{ registers: { A: { offset: 8192, mode: "rw", about: "" } }, sizeBytes: 4096 }] },
    "BAR0 has 4096 bytes, and its registers end at 8196; make it 16384",
  ],
  [
    "registers on top of each other",
    {
      bars: [
        { registers: { A: { offset: 4, mode: "rw", about: "" }, B: { offset: 4, mode: "rw", about: "" } } },
      ],
    },
    "BAR0: A and B overlap at 0x4; only one that is never written and one that is never read may",
  ],
  [
    "the same name in two BARs",
    {
      bars: [
        { registers: { A: { offset: 4, mode: "rw", about: "" } } },
        { registers: { A: { offset: 4, mode: "rw", about: "" } } },
      ],
    },
    "BAR1 and BAR0 both have a register A",
  ],
  // The types allow a mixture of both kinds of BARs.
  [
    "memory in I/O space",
    { bars: [{ memoryBytes: 4096, io: true }] },
    'BAR0 has "io", which a BAR of memoryBytes does not take; it takes memoryBytes, addressBits, prefetchable',
  ],
  [
    "I/O with 64-bit addresses",
    { bars: [{ registers: {}, io: true, addressBits: 64 }] },
    "BAR0 is in I/O space, which has no 64-bit addresses and no prefetching",
  ],
  ["addresses of 48 bits", { bars: [{ memoryBytes: 4096, addressBits: 48 as 64 }] }, "it must be 32 or 64"],
  ["a size that is no number", { bars: [{ memoryBytes: Number.NaN }] }, "to 2147483648, such as 4096"],
  ["a size that is text", { bars: [{ memoryBytes: "4096" as unknown as number }] }, "BAR0 has 4096 bytes"],
  [
    "null instead of a BAR",
    { bars: [null as unknown as undefined] },
    "BAR0 is null; undefined leaves a BAR out",
  ],
  ["no id", { id: undefined as never }, "id must be an object with vendor and device"],
  ["no BARs", { bars: undefined as never }, "bars must be an array"],
  ["interrupts that are null", { interrupts: null as never }, "interrupts must be an object"],
  ["one option as text", { options: "period" as never }, "options must be an array of names"],
  ["a root port", { capabilities: { express: "root" as never } }, "must be endpoint or integrated"],
  ["a serial number that is no bigint", { capabilities: { serialNumber: 5 as never } }, "must be a bigint"],
  [
    "a capability of numbers",
    { capabilities: { vendorSpecific: [[1, 2]] as never } },
    "capabilities.vendorSpecific must be an array of Uint8Arrays",
  ],
  [
    "a key that there is not",
    { interupts: { msix: 6 } } as never,
    'the model has "interupts", which there is not',
  ],
  [
    "a vendor that no kernel sees",
    { id: { vendor: 1, device: 2 } },
    "id.vendor is 1, with which a kernel finds no device",
  ],
  ["an option that every model has", { options: ["fault"] }, 'the model has an option "fault"'],
])("%s can't be defined", (_, part, message) => {
  expect(() => defineModel({ title: "bad", id: ID, bars: [], ...CREATE, ...part })).toThrow(message);
});

test("handlers of no register are told when the model starts", async () => {
  using folder = tempFolder();
  const start = async (name: string, description: string) => {
    const file = `${folder.path}/${name}.model.ts`;
    const door = join(import.meta.dir, "../../src/exports/model.ts");
    await Bun.write(
      file,
      `import { defineModel } from ${JSON.stringify(door)};\nexport default defineModel(${description});\n`,
    );
    const clients = { socketPath: `${folder.path}/${name}.sock` };
    const running = await startModel({ model: parseModelSpec(`model:${file}`), clients, log: () => {} });
    await running.ended;
  };
  await expect(
    start(
      "handlers",
      `{ title: "x", id: { vendor: 0x1234, device: 2 }, bars: [], create: () => ({ GHOST: {} }) }`,
    ),
  ).rejects.toThrow("create gives handlers of GHOST, which no table has");
});
