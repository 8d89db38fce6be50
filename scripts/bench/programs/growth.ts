/**
 * Sends frames of a file through the null codec of one or several devices at once, by DMA. Prints as JSON `time`, the us a frame
 * from the first packet to the last, over all devices. Arguments: FILE WIDTH HEIGHT DEPTH FRAMES DEVICES; FRAMES are for all
 * devices together, and the file's frames are repeated.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type Encoder, openEncoder } from "../../../src/index.ts";
import { frameSizeBytes } from "../../../src/media/video.ts";

const [path = "", ...numbers] = process.argv.slice(2);
const [width = 0, height = 0, inFlight = 0, frames = 0, devices = 0] = numbers.map(Number);
const frameBytes = frameSizeBytes({ width, height, format: "i420" });
const file = openSync(path, "r");
const fileFrames = Math.floor(fstatSync(file).size / frameBytes);
let packets = 0;
let first = 0;
let last = 0;

async function open(): Promise<Encoder> {
  const encoder = openEncoder({
    device: "model:vp9?codec=null",
    path: "dma",
    inFlight,
    output: () => {
      last = Bun.nanoseconds();
      if (packets++ === 0) first = last;
    },
  });
  await encoder.configure({ width, height, framerate: 25 });
  return encoder;
}

async function encode(encoder: Encoder): Promise<void> {
  for (let i = 0; i < frames / devices; i++) {
    const buffer = await encoder.acquireFrame();
    if (readSync(file, buffer.data, 0, frameBytes, (i % fileFrames) * frameBytes) !== frameBytes)
      throw new Error(`${path} was cut short`);
    await encoder.encode({ data: buffer, timestamp: i * 40_000 });
  }
  await encoder.flush();
}

const encoders = await Promise.all(Array.from({ length: devices }, open));
await Promise.all(encoders.map(encode));
for (const encoder of encoders) encoder.close();
closeSync(file);
if (packets !== frames) throw new Error(`${packets} packets came for ${frames} frames`);
console.log(JSON.stringify({ time: (last - first) / 1000 / (packets - 1) }));
