/** Temporal layers: what can be left out, and what is then decoded. */
import { afterAll, expect, test } from "bun:test";
import {
  type EncodedChunk,
  type EncodedChunkMetadata,
  type EncoderConfig,
  openDevice,
  openEncoder,
} from "../../../src/index.ts";
import { failure } from "../../media/rig.ts";
import { decode, framesOf, peopleClip, psnr } from "../codec/reference.ts";
import { between } from "./between.ts";

const device = openDevice("model:vp9?codec=libvpx");
afterAll(() => device[Symbol.dispose]());

const clip = peopleClip({ times: 2 });
const frames = framesOf(clip);
const config: EncoderConfig = {
  width: clip.width,
  height: clip.height,
  framerate: clip.fps,
  bitrateMode: "constant",
  bitrate: 400_000,
};

interface Layered {
  readonly chunk: EncodedChunk;
  readonly layer: number | undefined;
}

async function encode(scalabilityMode: string | undefined, keyAt = -1): Promise<Layered[]> {
  const chunks: Layered[] = [];
  const output = (chunk: EncodedChunk, metadata?: EncodedChunkMetadata) =>
    void chunks.push({ chunk, layer: metadata?.svc?.temporalLayerId });
  using encoder = openEncoder({ device, output });
  await encoder.configure({ ...config, scalabilityMode });
  for (const [index, data] of frames.entries())
    await encoder.encode({ data, timestamp: index * 83_334 }, { keyFrame: index === keyAt });
  await encoder.flush();
  return chunks;
}

const pictures = (layered: readonly Layered[]) => {
  const packets = layered.map(({ chunk }, pts) => ({ data: chunk.data, key: chunk.type === "key", pts }));
  const bytes = decode(clip, packets);
  const each = framesOf({ ...clip, bytes });
  expect(each).toHaveLength(layered.length);
  return each;
};

test.each([
  ["L1T2", [0, 1, 0, 1, 0, 1, 0, 1]],
  ["L1T3", [0, 2, 1, 2, 0, 2, 1, 2]],
] as const)(
  "with %s the layers are %j, and the pictures of one are the same without those above it",
  async (mode, order) => {
    const all = await encode(mode);
    expect(all.map(({ layer }) => layer).slice(0, 8)).toEqual([...order]);
    expect(all.map(({ chunk }) => chunk.type).indexOf("key", 1)).toBe(-1);
    const whole = pictures(all);
    for (const [index, picture] of whole.entries()) expect(psnr(picture, frames[index]!)).toBeGreaterThan(28);
    for (let highest = 0; highest < Math.max(...order); highest++) {
      const isKept = ({ layer }: Layered) => layer! <= highest;
      const kept = pictures(all.filter(isKept));
      expect(kept).toEqual(whole.filter((_, index) => isKept(all[index]!)));
    }
  },
);

test("a frame that is left out within the lowest layer is missed", async () => {
  const all = await encode("L1T2");
  const whole = pictures(all);
  const gap = all.filter((_, index) => index !== 2);
  expect(pictures(gap).at(-1)!).not.toEqual(whole.at(-1)!);
});

test("a key frame on demand is of the lowest layer, and the order begins again with it", async () => {
  const all = await encode("L1T3", 5);
  expect(all[5]!.chunk.type).toBe("key");
  expect(all.map(({ layer }) => layer).slice(5, 10)).toEqual([0, 2, 1, 2, 0]);
});

test("without layers nothing is said of them, and L1T1 is the same", async () => {
  const plain = await encode(undefined);
  expect(plain.every(({ layer }) => layer === undefined)).toBe(true);
  expect(await encode("L1T1")).toEqual(plain);
});

test("spatial layers are refused, and so are layers on a device without", async () => {
  expect((await failure(() => encode("L2T1"))).message).toBe(
    'scalabilityMode is "L2T1"; the device has L1T1, L1T2 and L1T3: leave it out',
  );
  const old = between(device, (bar) =>
    bar.index === 0 ? { read32: (offset) => (offset === 4 ? 0x1_0000 : bar.read32(offset)) } : {},
  );
  using encoder = openEncoder({ device: old, output: () => {} });
  const error = await failure(() => encoder.configure({ ...config, scalabilityMode: "L1T2" }));
  expect(error.message).toContain("it has no temporal layers: its interface is 1.0");
});
