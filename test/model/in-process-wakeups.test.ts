/** Descriptors that a model in this process waits for. */
import { expect, test } from "bun:test";
import { defineModel, openModel } from "../../src/exports/model.ts";
import { DeviceError } from "../../src/index.ts";
import { EventFd } from "../../src/os/eventfd.ts";
import { until } from "../scripts/rig.ts";

const log = () => {};

/** Raises an interrupt for each look at its eventfd, and keeps the counts that it took. */
function bellModel(bell: EventFd, counts: number[], take = () => bell.take()) {
  return defineModel({
    title: "bell",
    id: { vendor: 0x1234, device: 0xbe11 },
    bars: [{ registers: { WORD: { offset: 0, mode: "rw", reset: 0, about: "Nothing" } } }],
    create: (device) => {
      device.onReadable(bell.fd.number, () => {
        counts.push(take());
        device.raise();
      });
      return {};
    },
  });
}

test("an eventfd calls the model with its whole count, before and after a reset", async () => {
  using bell = new EventFd();
  const counts: number[] = [];
  using device = await openModel(bellModel(bell, counts), { log });
  const msi = device.enableInterrupts("msi", 1)[0]!;
  for (const signals of [1, 3]) {
    for (let i = 0; i < signals; i++) bell.signal();
    expect(await msi.waitAsync(2000)).toBe(1);
    bell.signal();
    await Bun.sleep(0); // the event loop may have taken the count
    device.reset();
    await until(() => counts.length % 2 === 0, "the count to come");
    msi.take();
  }
  bell.signal();
  expect(msi.wait(2000)).toBe(1);
  expect(counts).toEqual([1, 1, 3, 1, 1]);
});

test("one whose count the model leaves lets timers run", async () => {
  using bell = new EventFd();
  const counts: number[] = [];
  using device = await openModel(
    bellModel(bell, counts, () => 0),
    { log },
  );
  bell.signal();
  await Bun.sleep(50);
  expect(counts.length).toBeGreaterThan(1);
  expect(device.bars[0]!.read32(0)).toBe(0);
});

test("a model that failed is not called, and waiting for a closed one throws", async () => {
  using bell = new EventFd();
  const counts: number[] = [];
  const device = await openModel(bellModel(bell, counts), { log, options: { fault: "die@1" } });
  const msi = device.enableInterrupts("msi", 1)[0]!;
  bell.signal();
  expect(await msi.waitAsync(50)).toBe(0);
  bell.signal();
  await Bun.sleep(50);
  expect(counts).toEqual([1]);
  expect(msi.wait(20)).toBe(0);
  device[Symbol.dispose]();
  expect(() => msi.wait(5000)).toThrow(new DeviceError("bell: wait for an interrupt: it was closed"));
  expect(() => device.enableInterrupts("msi", 1)).toThrow("it was closed");
});
