/** How soon a change of a word in device memory is seen: a thread gives each value back in another word. */
import { ptr } from "bun:ffi";
import type { DmaMemory } from "../../../src/index.ts";
import { waitFor } from "../../device/wait.ts";
import type { EchoOrder } from "./echo.worker.ts";

/** Ends the thread. */
const LAST = 0xffff_ffff;

/** Each word has a cache line of its own, and the one that processors fetch with it. */
const THERE = 0;
const BACK = 128;
const ROUNDS = 200;
const TRIPS = 1000;
/** Of poke.ts --wait, which lets the event loop turn between two reads. */
const AWAITED_TRIPS = 100;
const ALL_BITS = 0xffff_ffffn;
const TIMEOUT_MS = 10_000;

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;

/** ns there and back, two changes seen: in a loop of read32, and by what poke.ts --wait uses. Medians of rounds' means. */
export async function pingPong(memory: DmaMemory): Promise<{ readonly loop: number; readonly wait: number }> {
  const address = ptr(memory.bytes());
  const echo = new Worker(new URL("./echo.worker.ts", import.meta.url));
  await new Promise((resolve, reject) => {
    echo.onerror = reject;
    echo.onmessage = resolve;
    const order: EchoOrder = { there: address + THERE, back: address + BACK, last: LAST };
    echo.postMessage(order);
  });
  let value = 0;
  const byLoop = () => {
    const started = Bun.nanoseconds();
    for (let i = 0; i < TRIPS; i++) {
      memory.write32(THERE, ++value);
      while (memory.read32(BACK) !== value);
    }
    return (Bun.nanoseconds() - started) / TRIPS;
  };
  const byWaiting = async () => {
    const started = Bun.nanoseconds();
    for (let i = 0; i < AWAITED_TRIPS; i++) {
      memory.write32(THERE, ++value);
      const condition = { mask: ALL_BITS, value: BigInt(value) };
      const { outcome } = await waitFor(() => BigInt(memory.read32(BACK)), condition, TIMEOUT_MS);
      if (outcome !== "met") throw new Error(`the other thread's answer: ${outcome}`);
    }
    return (Bun.nanoseconds() - started) / AWAITED_TRIPS;
  };
  const loop: number[] = [];
  const wait: number[] = [];
  for (let round = 0; round < ROUNDS; round++) loop.push(byLoop());
  for (let round = 0; round < ROUNDS / 10; round++) wait.push(await byWaiting());
  memory.write32(THERE, LAST);
  // The memory may go once the thread has answered.
  while (memory.read32(BACK) !== LAST);
  echo.terminate();
  return { loop: median(loop), wait: median(wait) };
}
