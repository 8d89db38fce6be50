/** Thousands of 1080p frames in one stream: what each costs on the bus, and what is left of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { decodeStreet } from "../../scripts/bench/clip.ts";
import { runGuest } from "../../src/guest/run-guest.ts";
import "../../src/schemes.ts";
import { registers } from "../../src/vp9/contract/registers.ts";

const TIMEOUT_MS = 400_000;
const FRAMES = 3000;
/** Frames until which memory may grow, and code be compiled. */
const SETTLED = 100;
/** What the process may gain after that: the garbage collector's headroom and compiled code. A frame has 3 MiB. */
const HEADROOM_MIB = 24;

let folder: string;
let clip: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-steady-"));
  clip = await decodeStreet(folder);
}, TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true }));

/** What QEMU passed on to the device from one frame's doorbell to another's. */
async function readTrace(path: string, firstFrame: number, lastFrame: number) {
  const seen = { mapsBefore: 0, accesses: 0, maps: 0, unmaps: 0 };
  const doorbell = `region 0 offset 0x${registers.SQ_TAIL.offset.toString(16)} count 4`;
  let doorbells = 0;
  for await (const line of createInterface(createReadStream(path))) {
    if (line.endsWith(doorbell)) doorbells++;
    if (doorbells < firstFrame && line.startsWith("vfio_user_dma_map")) seen.mapsBefore++;
    if (doorbells < firstFrame || doorbells >= lastFrame) continue;
    if (line.startsWith("vfio_user_region_rw")) seen.accesses++;
    else if (line.startsWith("vfio_user_dma_map")) seen.maps++;
    else if (line.startsWith("vfio_user_dma_unmap")) seen.unmaps++;
  }
  return { doorbells, ...seen };
}

test.each(["x86_64", "aarch64"] as const)(
  `in an %s guest ${FRAMES} frames of 1080p by DMA take at most two accesses each, no mapping, and no more memory than ${SETTLED}`,
  async (arch) => {
    const trace = join(folder, `trace-${arch}`);
    let output = "";
    const { exitCode } = await runGuest({
      arch,
      memoryMib: 2048,
      hugepages: 64,
      devices: ["model:vp9"],
      inputs: [clip],
      trace: { events: ["vfio_user_region_rw", "vfio_user_dma_map", "vfio_user_dma_unmap"], path: trace },
      command: [
        "sh",
        "-ec",
        `bun run bind.ts 00:01.0 --json > /dev/null; cp street.y4m /tmp; bun /vfiokit/test/guest/inside/steady.ts 00:01.0 /tmp/street.y4m ${FRAMES}`,
      ],
      onStdout: (bytes) => {
        output += new TextDecoder().decode(bytes);
      },
      onStderr: (bytes) => void process.stderr.write(bytes),
      timeoutMs: TIMEOUT_MS - 20_000,
    });
    expect(exitCode).toBe(0);
    const { path, packets, first, last } = JSON.parse(output);
    console.log(
      `${arch}: process ${first.processMiB.toFixed(0)} MiB after ${SETTLED} frames, ${last.processMiB.toFixed(0)} after ${FRAMES}; the guest ${first.guestMiB.toFixed(0)} and ${last.guestMiB.toFixed(0)}`,
    );
    expect({ path, packets }).toEqual({ path: "dma", packets: FRAMES });
    expect(last.processMiB - first.processMiB).toBeLessThan(HEADROOM_MIB);
    expect(last.guestMiB - first.guestMiB).toBeLessThan(HEADROOM_MIB);

    const { doorbells, mapsBefore, accesses, maps, unmaps } = await readTrace(trace, SETTLED, FRAMES);
    console.log(
      `${arch}: ${accesses} trapped accesses for ${FRAMES - SETTLED} frames, ${maps} maps, ${unmaps} unmaps`,
    );
    expect(doorbells).toBe(FRAMES + 1); // and the flush
    expect(accesses).toBeGreaterThanOrEqual(FRAMES - SETTLED);
    expect(accesses / (FRAMES - SETTLED)).toBeLessThanOrEqual(2);
    expect(mapsBefore).toBeGreaterThan(0);
    expect({ maps, unmaps }).toEqual({ maps: 0, unmaps: 0 });
  },
  TIMEOUT_MS,
);
