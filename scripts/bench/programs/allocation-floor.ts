/**
 * The least that an encoder with promises allocates: for each frame a call that is awaited, and a chunk with a packet of 16
 * bytes. Prints the same as allocation.ts. Arguments: FROM TO, numbers of frames.
 */
import { heapStats } from "bun:jsc";

const [from = 0, to = 0] = process.argv.slice(2).map(Number);
const frame = async (timestamp: number) => {
  await undefined;
  return { type: "key", timestamp, duration: 40_000, data: new Uint8Array(new ArrayBuffer(16)) };
};
let first = 0;
let packetBytes = 0;
for (let index = 0; index < to; index++) {
  if (index === from) first = heapStats().heapCapacity;
  packetBytes += (await frame(index * 40_000)).data.byteLength;
}
if (packetBytes !== 16 * to) throw new Error(`${packetBytes} bytes came`);
console.log(JSON.stringify({ bytes: (heapStats().heapCapacity - first) / (to - from) }));
