/**
 * A program for the tests, in a guest: `bun steady.ts DEVICE CLIP FRAMES` encodes a clip over and over, and prints the
 * memory of this process and of the whole guest after the first hundred frames and at the end, in MiB, as JSON.
 */
import { readFileSync } from "node:fs";
import { openEncoder } from "../../../src/index.ts";
import { type FrameSource, openFrameSource } from "../../../src/media/source.ts";

const [device = "", clip = "", count = ""] = process.argv.slice(2);
const frames = Number(count);

function kib(path: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(path, "latin1"))?.[1]);
}

function memory() {
  Bun.gc(true);
  const guest = kib("/proc/meminfo", "MemTotal") - kib("/proc/meminfo", "MemAvailable");
  return { processMiB: kib("/proc/self/status", "VmRSS") / 1024, guestMiB: guest / 1024 };
}

const open = () => openFrameSource(clip, {}) as Promise<FrameSource>;
let source = await open();
let packets = 0;
using encoder = openEncoder({ device, output: () => packets++ });
const { width, height, format, fps, timebase } = source.video;
await encoder.configure({ width, height, format, timebase, framerate: fps, bitrate: 4_000_000 });
let first: ReturnType<typeof memory> | undefined;
for (let i = 0; i < frames; i++) {
  if (i === 100) first = memory();
  const buffer = await encoder.acquireFrame();
  if (!(await source.read(buffer.data))) {
    source[Symbol.dispose]();
    source = await open();
    await source.read(buffer.data);
  }
  await encoder.encode({ data: buffer, timestamp: (i * 1_000_000 * fps.den) / fps.num });
}
await encoder.flush();
source[Symbol.dispose]();
console.log(JSON.stringify({ path: encoder.statistics.path, packets, first, last: memory() }));
