/** What frames leave behind in JavaScript's heap, and how often their bytes are copied there. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "../../media/rig.ts";

const PROGRAM = join(import.meta.dir, "../../../scripts/bench/programs/allocation.ts");
const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const small = folder.file("small.y4m");
const large = folder.file("large.y4m");
const SMALL_FRAMES = 10_001;
const LARGE_FRAMES = 201;
const LARGE_BYTES = (640 * 360 * 3) / 2;

/** Writes frames of bytes that differ. */
function writeClip(path: string, width: number, height: number, frames: number): void {
  writeFileSync(path, `YUV4MPEG2 W${width} H${height} F25:1 C420\n`);
  const pixels = new Uint8Array((width * height * 3) / 2).map((_, i) => i ** 2);
  const frame = Buffer.concat([Buffer.from("FRAME\n"), pixels]);
  const each = Math.ceil(frames / 100);
  for (let written = 0; written < frames; written += each) {
    frame[6] = written;
    appendFileSync(path, Buffer.concat(Array(Math.min(each, frames - written)).fill(frame)));
  }
}

beforeAll(() => {
  writeClip(small, 64, 64, SMALL_FRAMES);
  writeClip(large, 640, 360, LARGE_FRAMES);
});

async function printedBy<T>(words: readonly string[], env: Record<string, string> = {}): Promise<T> {
  const child = Bun.spawn([process.execPath, ...words], {
    stderr: "inherit",
    env: { ...process.env, ...env },
  });
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  return JSON.parse(text) as T;
}

interface Growth {
  readonly bytes: number;
  readonly objects: number;
  readonly resident: number;
}

test("the heap is as large after 10,000 frames as after 1,000", async () => {
  const { bytes, objects } = await printedBy<Growth>([PROGRAM, small, "kept", "1000", "10000"]);
  // A frame that keeps anything keeps one object at least; Bun's own compiling leaves a few for all frames.
  expect(Math.abs(objects)).toBeLessThan(0.5);
  expect(bytes).toBeLessThan(200);
}, 120_000);

test.each([
  ["a process of its own", "apart", true, 1023],
  ["this process", "here", false, 4096],
])(
  "with the model in %s, a frame by DMA is read from its file once, into the memory that the device reads, and not copied in JavaScript",
  async (_, place, allShared, most) => {
    const program = join(import.meta.dir, "copies.ts");
    const result = await printedBy<Record<string, number>>([program, large, place]);
    const { largest, copied, mostRead } = result;
    // The packets are the codec's sums of what it read.
    expect(result).toMatchObject({ frames: LARGE_FRAMES, allShared, sameSums: true });
    // Packets of 16 bytes are copied, and entries of rings; by a model at its reset, its configuration space of 4 KiB.
    expect(largest).toBeLessThanOrEqual(most);
    expect(copied).toBeLessThan(256 * LARGE_FRAMES);
    expect(mostRead).toBeGreaterThanOrEqual(LARGE_BYTES);
    expect(mostRead).toBeLessThan(LARGE_BYTES + 1024);
  },
  60_000,
);

test("what a frame allocates in JavaScript is much less than the frame", async () => {
  const uncollected = { BUN_JSC_useGC: "0" };
  const { bytes, resident } = await printedBy<Growth>(
    [PROGRAM, large, "allocated", "100", "200"],
    uncollected,
  );
  expect(bytes).toBeGreaterThan(0);
  expect(bytes).toBeLessThan(LARGE_BYTES / 5);
  expect(resident).toBeLessThan(LARGE_BYTES / 2);
}, 60_000);
