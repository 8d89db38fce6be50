/**
 * Encodes a y4m file by DMA with the null codec. Prints as JSON how this process grew from one frame of it to another, a
 * frame: bytes and objects of the heap, and resident bytes, which count copies of large arrays, too. Arguments: FILE FROM TO, numbers of frames; `kept` collects garbage before it looks, `allocated` does
 * not, and is all that was allocated if garbage is never collected: BUN_JSC_useGC=0 in the environment.
 */
import { heapStats } from "bun:jsc";
import { encodeFile } from "../../../src/exports/vp9.ts";
import { openFrameSource } from "../../../src/media/source.ts";
import { openPacketWriter } from "../../../src/media/writer.ts";

const [path = "", mode = "", ...numbers] = process.argv.slice(2);
const [from = 0, to = 0] = numbers.map(Number);

/** The heap's blocks, and what typed arrays have beside it. */
function look() {
  if (mode === "kept") Bun.gc(true);
  const { heapSize, heapCapacity, objectCount } = heapStats();
  return {
    bytes: mode === "kept" ? heapSize : heapCapacity,
    objects: objectCount,
    resident: process.memoryUsage.rss(),
  };
}

const source = await openFrameSource(path, {});
const looks: ReturnType<typeof look>[] = [];
let index = 0;
const { read } = source;
source.read = (into) => {
  if (index === from || index === to) looks.push(look());
  index++;
  return read.call(source, into);
};
const { frames } = await encodeFile(source, () => openPacketWriter("/dev/null", source.video, path, "ivf"), {
  encoder: { device: "model:vp9?codec=null", path: "dma" },
  config: {},
});
const [first, last] = looks;
if (!first || !last || frames < to) throw new Error(`${path} has ${frames} frames`);
const each = (member: keyof ReturnType<typeof look>) => (last[member] - first[member]) / (to - from);
console.log(JSON.stringify({ bytes: each("bytes"), objects: each("objects"), resident: each("resident") }));
