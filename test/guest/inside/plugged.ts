/**
 * A driver that runs all the time: the edu at 0000:00:01.0 computes without a pause. For each address on standard input the
 * driver binds and opens the edu there, talks to it (registers, DMA, interrupts) and closes it. Prints a line of JSON for each.
 */
import { createInterface } from "node:readline";
import { openEdu } from "../../../examples/edu/edu.ts";
import { bind } from "../../../src/exports/bus.ts";
import { openDevice } from "../../../src/index.ts";
import { talkToEdu } from "../../model/edu-script.ts";
import { openFds } from "../../os/open-fds.ts";

const PAUSE_MS = 20;

/** The descriptors that are open for 100 ms: Bun closes those of the shell that bind() ran on another thread, a moment later. */
async function lastingFds(): Promise<number> {
  let fewest = Infinity;
  for (let i = 0; i < 10; i++, await Bun.sleep(10)) fewest = Math.min(fewest, openFds("self"));
  return fewest;
}

await bind("0000:00:01.0");
using lasting = openDevice("0000:00:01.0");
const edu = openEdu(lasting);
let computed = 0;
const computing = setInterval(() => {
  if (edu.factorial(5) !== 120) throw new Error("the edu that stays plugged in computes no more");
  computed++;
}, PAUSE_MS);
console.log(JSON.stringify({ ready: true }));
for await (const address of createInterface({ input: process.stdin })) {
  await bind(address);
  let answers: number;
  {
    using device = openDevice(address);
    answers = talkToEdu(device).length;
  }
  console.log(JSON.stringify({ address, answers, computed, fds: await lastingFds() }));
}
clearInterval(computing);
