/** BARs with 64-bit addresses. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { defineModel, openModel } from "../../src/exports/model.ts";
import { openDevice, openRegisters, type PciDevice } from "../../src/index.ts";
import wide, { registers, WINDOW_BYTES } from "./models/wide.model.ts";

setDefaultTimeout(30_000);

test.each<[string, () => Promise<PciDevice>]>([
  ["in this process", () => openModel(wide)],
  [
    "in a process of its own",
    async () => openDevice(`model:${join(import.meta.dir, "models/wide.model.ts")}`),
  ],
])(
  "a BAR of 1 GiB has a 64-bit address and its memory from the first word to the last, %s",
  async (_, open) => {
    using device = await open();
    expect(device.bars.map(({ sizeBytes }) => sizeBytes)).toEqual([4096, 0, WINDOW_BYTES, 0, 0, 4096]);
    const before = device.config.read32(0x18);
    expect(before & 0xf).toBe(0xc); // 64 bits, prefetchable
    device.config.write32(0x18, 0xffff_ffff);
    device.config.write32(0x1c, 0xffff_ffff);
    expect([device.config.read32(0x18), device.config.read32(0x1c)]).toEqual([0xc000_000c, 0xffff_ffff]);
    const { FIRST, LAST } = openRegisters(registers, device.bars[0]!);
    device.bars[2]!.write32(0, 0x1111);
    device.bars[2]!.write32(WINDOW_BYTES - 4, 0x2222);
    expect([FIRST.read(), LAST.read()]).toEqual([0x1111, 0x2222]);
  },
);

test.each([
  [[{ memoryBytes: 4096, addressBits: 64 as const }, { memoryBytes: 4096 }], "BAR0 has 64-bit addresses"],
  [[...Array(5), { memoryBytes: 4096, addressBits: 64 as const }], "BAR5 has 64-bit addresses"],
  [
    [{ memoryBytes: 2 ** 32 }],
    "BAR0 has 4294967296 bytes; it must be a power of two from 4096 to 2147483648",
  ],
])("what does not fit is refused: %#", (bars, message) => {
  const id = { vendor: 0x1234, device: 2 };
  expect(() => defineModel({ title: "x", id, bars, create: () => ({}) })).toThrow(message);
});
