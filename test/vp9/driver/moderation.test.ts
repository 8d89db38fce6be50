import { expect, setDefaultTimeout, test } from "bun:test";
import { openDevice } from "../../../src/index.ts";
import { unpackFields } from "../../../src/registers/fields.ts";
import { registers } from "../../../src/vp9/contract/registers.ts";
import { between } from "../encoder/between.ts";
import { record } from "../encoder/rig.ts";

setDefaultTimeout(60_000);

const FRAMES = 300;
const shape = { width: 64, height: 64, framerate: 30 };
const data = new Uint8Array((64 * 64 * 3) / 2);
const frame = (index: number) => ({ data, timestamp: index * 40_000, duration: 40_000 });

/** An encoder, and the COUNT that each write to IRQ_MODERATION had. */
function open(inFlight: number | undefined) {
  const device = openDevice("model:vp9?codec=null", { postWrites: true });
  const counts: number[] = [];
  const watched = between(device, ({ index, write32 }) => ({
    write32: (offset, value) => {
      if (index === 0 && offset === registers.IRQ_MODERATION.offset)
        counts.push(unpackFields(registers.IRQ_MODERATION, value).COUNT);
      write32(offset, value);
    },
  }));
  const recorded = record({ device: watched, path: "dma", inFlight });
  return {
    ...recorded,
    counts,
    [Symbol.dispose]: () => {
      recorded[Symbol.dispose]();
      device[Symbol.dispose]();
    },
  };
}

test("frames that wait for the device make its interrupts fewer, and every chunk comes in order", async () => {
  using opened = open(16);
  const { encoder, chunks, counts } = opened;
  await encoder.configure(shape);
  const encoding = Array.from({ length: FRAMES }, (_, index) => encoder.encode(frame(index)));
  await Promise.all(encoding);
  expect(counts).toEqual([4]);
  await encoder.flush();
  expect(chunks.map(({ timestamp }) => timestamp)).toEqual(
    Array.from({ length: FRAMES }, (_, index) => index * 40_000),
  );
  expect(encoder.statistics.missedInterrupts).toBe(0);
  // A camera's pace: each frame is waited for.
  for (let index = FRAMES; index < FRAMES + 3; index++) {
    await encoder.encode(frame(index));
    while (chunks.length <= index) await Bun.sleep(1);
  }
  expect(counts).toEqual([4, 0]);
});

test("the next stream begins without moderation", async () => {
  using opened = open(undefined);
  const { encoder, counts } = opened;
  await encoder.configure(shape);
  for (let index = 0; index < FRAMES; index++) void encoder.encode(frame(index));
  // Waits for the last of them, but not for their chunks.
  await encoder.acquireFrame();
  expect([encoder.statistics.inFlight, ...counts]).toEqual([16, 4]);
  encoder.reset();
  await encoder.configure({ ...shape, width: 62 });
  expect(counts).toEqual([4, 0]);
});

test("with few frames in flight each completion interrupts", async () => {
  using opened = open(4);
  const { encoder, chunks, counts } = opened;
  await encoder.configure(shape);
  for (let index = 0; index < FRAMES; index++) await encoder.encode(frame(index));
  await encoder.flush();
  expect([chunks.length, ...counts]).toEqual([FRAMES]);
});
