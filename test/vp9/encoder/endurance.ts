/**
 * A program for the tests: `bun endurance.ts WIDTH HEIGHT FRAMES` sends frames through the null codec and prints the
 * memory of this process and of the model's after the first hundred and at the end, in MiB, as JSON.
 */
import { readdirSync, readFileSync } from "node:fs";
import { openEncoder } from "../../../src/index.ts";

const [width = 64, height = 64, frames = 1000] = process.argv.slice(2).map(Number);

function residentMiB(pid: number | "self"): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024;
}

function childOf(parent: number): number {
  for (const pid of readdirSync("/proc").map(Number).filter(Boolean)) {
    try {
      if (new RegExp(`^PPid:\\s+${parent}$`, "m").test(readFileSync(`/proc/${pid}/status`, "latin1")))
        return pid;
    } catch {
      // It ended meanwhile.
    }
  }
  throw new Error("the model's process was not found");
}

let packets = 0;
using encoder = openEncoder({ device: "model:vp9?codec=null", output: () => packets++ });
await encoder.configure({ width, height, framerate: 25, timebase: { num: 1, den: 25 } });
const model = childOf(process.pid);
const memory = () => {
  Bun.gc(true);
  return { oursMiB: residentMiB("self"), modelMiB: residentMiB(model) };
};
let first: ReturnType<typeof memory> | undefined;
for (let i = 0; i < frames; i++) {
  if (i === 100) first = memory();
  const buffer = await encoder.acquireFrame();
  buffer.data[0] = i;
  await encoder.encode({ data: buffer, timestamp: i * 40_000 });
}
await encoder.flush();
console.log(JSON.stringify({ frames, packets, first, last: memory() }));
