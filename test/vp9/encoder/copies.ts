/**
 * A program for the tests: `bun copies.ts FILE [here]` encodes a y4m file by DMA with the null codec, with the model in a process
 * of its own or in this one, and prints as JSON what JavaScript copied, where frames were read to, and what the kernel read.
 */
import { ptr } from "bun:ffi";
import { readFileSync } from "node:fs";

let largest = 0;
let copied = 0;

/** Counts the bytes that a method copies, of its first argument or of its result. */
function count(owner: object, name: string, of: "argument" | "result"): void {
  const methods = owner as Record<string, (...values: unknown[]) => unknown>;
  const method = methods[name]!;
  methods[name] = function (...values) {
    const result = method.apply(this, values);
    const bytes = ((of === "argument" ? values[0] : result) as Partial<ArrayBufferView>).byteLength ?? 0;
    largest = Math.max(largest, bytes);
    copied += bytes;
    return result;
  };
}

// Before anything of ours is loaded, which could keep a method.
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
count(typedArray, "set", "argument");
for (const name of ["slice", "map", "filter", "copyWithin"]) count(typedArray, name, "result");
count(Object.getPrototypeOf(Uint8Array) as object, "from", "result");
for (const name of ["slice", "transfer"]) count(ArrayBuffer.prototype, name, "result");
for (const name of ["from", "concat"]) count(Buffer, name, "result");

const { encodeFile } = await import("../../../src/exports/vp9.ts");
const { openFrameSource } = await import("../../../src/media/source.ts");
const { openPacketWriter } = await import("../../../src/media/writer.ts");

const [path = "", place] = process.argv.slice(2);
const spec = "model:vp9?codec=null";
const device =
  place === "here"
    ? await (await import("../../../src/exports/model.ts")).openModel(
        (await import("../../../src/vp9/model/vp9.model.ts")).default,
        { options: { codec: "null" } },
      )
    : spec;
const source = await openFrameSource(path, {});
const bytesRead = () => Number(/^rchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "latin1"))?.[1]);

/** Whether memory is mapped so that another process may share it: proc(5), maps. */
function isShared(bytes: Uint8Array): boolean {
  const at = ptr(bytes);
  const line = readFileSync("/proc/self/maps", "latin1")
    .split("\n")
    .find((one) => {
      const [begin = 0, end = 0] = one
        .split(" ")[0]!
        .split("-")
        .map((text) => Number.parseInt(text, 16));
      return at >= begin && at + bytes.byteLength <= end;
    });
  return line?.split(" ")[1] === "rw-s";
}

const sums: number[] = [];
let allShared = true;
let read = 0;
const { read: readFrame } = source;
source.read = (into) => {
  allShared &&= isShared(into);
  const before = bytesRead();
  const result = readFrame.call(source, into);
  // The first reading of the counter is counted by the second: a few hundred bytes.
  read = Math.max(read, bytesRead() - before);
  if (result === true) sums.push(Bun.hash.crc32(into));
  return result;
};
const packetSums: number[] = [];
const { frames } = await encodeFile(
  source,
  async () => {
    const writer = await openPacketWriter("/dev/null", source.video, path, "ivf");
    const { write } = writer;
    writer.write = (packet) => {
      packetSums.push(new DataView(packet.data.buffer, packet.data.byteOffset).getUint32(4, true));
      return write.call(writer, packet);
    };
    return writer;
  },
  { encoder: { device, path: "dma" }, config: {} },
);
const sameSums = Bun.deepEquals(sums, packetSums);
console.log(JSON.stringify({ frames, largest, copied, allShared, mostRead: read, sameSums }));
process.exit();
