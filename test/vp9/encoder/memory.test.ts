import { expect, test } from "bun:test";
import { join } from "node:path";

interface Memory {
  readonly oursMiB: number;
  readonly modelMiB: number;
}

/**
 * What a process may gain between its first hundred frames and its last: machine code of the just-in-time compiler and
 * the garbage collector's headroom. Frames that leak show: each run moves at least 59 MiB of them.
 */
const HEADROOM_MIB = 24;

test.each([
  [64, 64, 10_000],
  [1920, 1080, 500],
])(
  "memory at the end of %dx%d, %d frames with the null codec, is what it was after the first hundred",
  async (width, height, frames) => {
    const program = join(import.meta.dir, "endurance.ts");
    const child = Bun.spawn([process.execPath, program, String(width), String(height), String(frames)], {
      stderr: "inherit",
    });
    const result = JSON.parse(await new Response(child.stdout).text()) as {
      packets: number;
      first: Memory;
      last: Memory;
    };
    const { first, last } = result;
    for (const side of ["oursMiB", "modelMiB"] as const) {
      console.log(
        `${width}x${height}, ${frames} frames, ${side}: ${first[side].toFixed(0)} after 100, ${last[side].toFixed(0)} at the end`,
      );
      expect(last[side] - first[side]).toBeLessThan(HEADROOM_MIB);
    }
    expect(result.packets).toBe(frames);
    expect(await child.exited).toBe(0);
  },
  60_000,
);
