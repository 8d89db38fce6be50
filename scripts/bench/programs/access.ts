/** Single accesses to a mapped BAR and to DMA memory, copies, and waiting for a change: what test/bench/c/access.c does. Arguments: FILE */

import { openFrameSource } from "../../../src/exports/media.ts";
import { openDevice } from "../../../src/index.ts";
import { pingPong } from "./ping-pong.ts";

const ACCESSES = 5_000_000;
const COPIES = 200;
const FRAME = (1920 * 1080 * 3) / 2;

using device = openDevice("model:vp9?codec=null");
const window = device.bars[1]!;
using memory = device.allocateDma(FRAME);
const frame = memory.bytes(0, FRAME).slice().fill(1);
window.copyIn(0, frame);
let sum = 0;

/** ns for each of `count` calls. */
function each(count: number, work: (count: number) => void): number {
  work(count); // so that Bun has compiled it
  const started = Bun.nanoseconds();
  work(count);
  return (Bun.nanoseconds() - started) / count;
}

const figures = {
  "register read": each(ACCESSES, (count) => {
    let all = 0;
    for (let i = 0; i < count; i++) all ^= window.read32((i & 255) * 4);
    sum ^= all;
  }),
  "register write": each(ACCESSES, (count) => {
    for (let i = 0; i < count; i++) window.write32((i & 255) * 4, i);
  }),
  "DMA word read": each(ACCESSES, (count) => {
    let all = 0;
    for (let i = 0; i < count; i++) all ^= memory.read32((i & 255) * 4);
    sum ^= all;
  }),
  "frame to window":
    each(COPIES, (count) => {
      for (let i = 0; i < count; i++) window.copyIn(0, frame);
    }) / 1000,
  "file to memory": (await readFrames()) / 1000,
};
const { loop, wait } = await pingPong(memory);
const seen = { "two changes seen": loop, "two changes seen, poke.ts --wait": wait / 1000 };
console.log(JSON.stringify({ ...figures, ...seen, sum: sum & 1 }));

/** ns for each frame of a raw file. */
async function readFrames(): Promise<number> {
  const into = memory.bytes(0, FRAME);
  let taken = 0;
  for (let n = 0; n < COPIES; ) {
    using source = await openFrameSource(process.argv[2]!, {
      size: { width: 1920, height: 1080 },
      fps: { num: 25, den: 1 },
    });
    for (; n < COPIES; n++) {
      const started = Bun.nanoseconds();
      if (!(await source.read(into))) break;
      taken += Bun.nanoseconds() - started;
    }
  }
  return taken / COPIES;
}
