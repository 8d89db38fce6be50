/** Models with several vectors. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { defineModel, openModel } from "../../src/exports/model.ts";
import { openDevice, openRegisters, type PciDevice } from "../../src/index.ts";
import { decodeConfig } from "../../src/pci/decode/decode.ts";
import bells, { registers } from "./models/bells.model.ts";

setDefaultTimeout(30_000);

const FILE = join(import.meta.dir, "models/bells.model.ts");
const ways: readonly [string, () => Promise<PciDevice>][] = [
  ["in this process", () => openModel(bells)],
  ["in a process of its own", async () => openDevice(`model:${FILE}`)],
];

describe.each(ways)("a model %s", (_, open) => {
  test.each([
    ["msix", 8],
    ["msi", 16],
  ] as const)("raises each vector of %s, %d of them, by itself", async (kind, count) => {
    using device = await open();
    const { RING, RANG } = openRegisters(registers, device.bars[0]!);
    expect(device.interruptCount(kind)).toBe(count);
    const vectors = device.enableInterrupts(kind, count);
    for (let vector = 0; vector < count; vector++) for (let n = 0; n <= vector; n++) RING.write(vector);
    expect(RANG.read()).toBe((count * (count + 1)) / 2);
    expect(vectors.map((vector) => vector.take())).toEqual(vectors.map((_, vector) => vector + 1));
  });

  test("gives the vectors of MSI that software did not enable to the first, and loses those of MSI-X", async () => {
    using device = await open();
    const { RING, RANG } = openRegisters(registers, device.bars[0]!);
    const [msi] = device.enableInterrupts("msi", 1);
    RING.write(7);
    RANG.read();
    expect(msi!.take()).toBe(1);
    device.disableInterrupts("msi");
    const [first, second] = device.enableInterrupts("msix", 2);
    RING.write(7);
    RING.write(1);
    RANG.read();
    expect([first!.take(), second!.take()]).toEqual([0, 1]);
  });

  test("says where its table is, which keeps what is written to it", async () => {
    using device = await open();
    const bytes = Uint8Array.from({ length: 256 }, (_, offset) => device.config.read8(offset));
    const msix = decodeConfig(bytes).capabilities.find(({ id }) => id === 0x11);
    expect(JSON.stringify(msix)).toContain('"tableSize":8');
    const table = device.bars[4]!; // the last one that is free
    expect([table.sizeBytes, table.read32(12)]).toEqual([4096, 1]);
    table.write32(12, 0);
    table.write32(2048, 5); // pending bits are read-only
    expect([table.read32(12), table.read32(2048)]).toEqual([0, 0]);
  });
});

test.each([
  [{ msi: 3 }, "interrupts.msi is 3; it must be a power of two from 1 to 32"],
  [{ msix: 2049 }, "interrupts.msix is 2049; it must be from 1 to 2048"],
])("%p can't be defined", (interrupts, message) => {
  const id = { vendor: 0x1234, device: 2 };
  expect(() => defineModel({ title: "x", id, bars: [], interrupts, create: () => ({}) })).toThrow(message);
});

test("MSI-X needs a BAR for its table", () => {
  const bars = Array.from({ length: 6 }, () => ({ memoryBytes: 4096 }));
  const description = { title: "x", id: { vendor: 0x1234, device: 2 }, bars, create: () => ({}) };
  expect(() => defineModel({ ...description, interrupts: { msix: 1 } })).toThrow("all 6 are taken");
});
