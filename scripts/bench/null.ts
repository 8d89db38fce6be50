/** Everything but the codec: encode.ts with the null codec, which only sums each frame, beside C that reads and sums. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bunProgram } from "../../src/os/bun-program.ts";
import type { BenchCase, Figures, Metric } from "./case.ts";
import { decodeStreet } from "./clip.ts";
import { outputOf } from "./measure.ts";
import { compileTwin } from "./twins.ts";

const DEPTHS = [1, 2, 4, 8, 16] as const;
const FRAME_BYTES = (1920 * 1080 * 3) / 2;
const IVF_HEADER_BYTES = 32;
/** An IVF frame's header, and a packet of the null codec: src/vp9/codec/null.ts. */
const IVF_FRAME_BYTES = 12 + 16;
const SUM_OFFSET = 12 + 4;

const atDepth = (depth: number) => `a frame, depth ${depth}`;

const metrics: readonly Metric[] = [
  {
    name: "a frame",
    unit: "ms",
    bounds: "ratio",
    atMost: 1.2,
    limit: "reading, and summing from the cache",
  },
  ...DEPTHS.map((depth): Metric => ({ name: atDepth(depth), unit: "ms", bounds: "none" })),
  { name: "whole", unit: "s", bounds: "none" },
];

/** @param times how often the 54 frames are repeated */
export const nullCase = (times: number): BenchCase => ({
  name: "encode-null",
  about: `${(54 * times).toLocaleString("en")} frames of 1080p by DMA with the null codec, which only sums them: each depth (frames in flight), and the best`,
  theirs: "C that reads and sums",
  metrics,
  async prepare(folder) {
    const binary = await compileTwin("crc", folder);
    const clip = await decodeStreet(folder, times);
    const output = (depth: number) => join(folder, `${depth}.ivf`);
    const sums = (depth: number) => join(folder, `${depth}.sums`);
    return {
      ours: (root) =>
        eachDepth((depth) => [
          ...bunProgram(join(root, "scripts/encode.ts")),
          ...[clip, "-o", output(depth), "--codec=null", "--path=dma", `--in-flight=${depth}`, "--json"],
        ]),
      theirs: () => eachDepth((depth) => [binary, clip, `${FRAME_BYTES}`, `${depth}`, sums(depth)]),
      check: async () => {
        for (const depth of DEPTHS) sameSums(output(depth), sums(depth), 54 * times);
      },
    };
  },
});

/** The pace at each depth, and the pace and the whole time, in s, at the depth with the best pace. Throws Error. */
async function eachDepth(command: (depth: number) => readonly string[]): Promise<Figures> {
  const figures: Record<string, number> = {};
  let best = Number.POSITIVE_INFINITY;
  for (const depth of DEPTHS) {
    const started = Bun.nanoseconds();
    const { steadyFrameMs } = JSON.parse(await outputOf(command(depth))) as {
      readonly steadyFrameMs: number;
    };
    const whole = (Bun.nanoseconds() - started) / 1e9;
    figures[atDepth(depth)] = steadyFrameMs;
    if (steadyFrameMs >= best) continue;
    best = steadyFrameMs;
    Object.assign(figures, { "a frame": best, whole });
  }
  return figures;
}

/** Throws Error if the packets don't have the other file's sums. */
function sameSums(ivf: string, sums: string, frames: number): void {
  const packets = readFileSync(ivf).subarray(IVF_HEADER_BYTES);
  const expected = readFileSync(sums);
  const isSame = (index: number) =>
    packets.readUInt32LE(index * IVF_FRAME_BYTES + SUM_OFFSET) === expected.readUInt32LE(4 * index);
  if (
    packets.byteLength !== frames * IVF_FRAME_BYTES ||
    expected.byteLength !== 4 * frames ||
    ![...Array(frames).keys()].every(isSame)
  )
    throw new Error(`${ivf} and ${sums} have different sums, so the times can't be compared`);
}

/** 10 repetitions: enough that the first use of each page of memory does not decide. */
export const nullCases: readonly BenchCase[] = [nullCase(10)];
