/** What a model keeps through a reset. */
import { expect, test } from "bun:test";
import { defineModel, openModel } from "../../src/exports/model.ts";

const registers = { KEPT: { offset: 0, mode: "rw", about: "Outlives a reset" } } as const;

test("a reset leaves alone what a model keeps, and each device has its own", async () => {
  const model = defineModel({
    title: "keeper",
    id: { vendor: 0x1234, device: 2 },
    bars: [{ registers: { ...registers, LOST: { offset: 4, mode: "rw", about: "Does not" } } }],
    create(device) {
      const kept = device.keep(() => ({ value: 7 }));
      const write = (value: number) => {
        kept.value = value;
      };
      return { KEPT: { read: () => kept.value, write } };
    },
  });
  using device = await openModel(model);
  using other = await openModel(model);
  const read = ({ bars: [bar] }: typeof device) => [bar!.read32(0), bar!.read32(4)];
  expect(read(device)).toEqual([7, 0]);
  for (const offset of [0, 4]) device.bars[0]!.write32(offset, 9);
  expect(read(device)).toEqual([9, 9]);
  device.reset();
  expect([read(device), read(other)]).toEqual([
    [9, 0],
    [7, 0],
  ]);
});
