/**
 * `worker.ts KIND`: does one kind of work in a process of its own, for soak.ts. Does a step for each line on standard input, and
 * answers with a line of JSON: the milliseconds that each frame, open or guest of the step took.
 */
import { openDevice } from "../../../src/device/open.ts";
import { openModel } from "../../../src/exports/model.ts";
import { openEncoder } from "../../../src/exports/vp9.ts";
import { bootGuest } from "../../../src/guest/guest.ts";
import { serveModel } from "../../../src/model/hosting/served.ts";
import "../../../src/schemes.ts";
import type { PciDevice } from "../../../src/device/device.ts";
import { MAGIC } from "../../../src/vp9/contract/registers.ts";
import vp9 from "../../../src/vp9/model/vp9.model.ts";

const FRAMES_A_STEP = 1000;
const OPENS_A_STEP = 10;
const SIDE = 64;

interface Work extends AsyncDisposable {
  /** Milliseconds of each part of a step. */
  step(): Promise<number[]>;
}

/** Frames of noise in one long stream, on a model in this process. */
async function frames(codec: "null" | "libvpx"): Promise<Work> {
  const device = await openModel(vp9, { options: { codec } });
  const begunMs = new Map<number, number>();
  let times: number[] = [];
  const encoder = openEncoder({
    device,
    output: ({ timestamp }) => {
      times.push(performance.now() - begunMs.get(timestamp)!);
      begunMs.delete(timestamp);
    },
  });
  const rate = { framerate: 25, timebase: { num: 1, den: 25 } } as const;
  await encoder.configure({ codec: "vp9", width: SIDE, height: SIDE, ...rate });
  let count = 0;
  return {
    async step() {
      times = [];
      for (let i = 0; i < FRAMES_A_STEP; i++) {
        const timestamp = count++ * 40_000;
        const buffer = await encoder.acquireFrame();
        fillFrame(buffer.data, count);
        begunMs.set(timestamp, performance.now());
        await encoder.encode({ data: buffer, timestamp });
      }
      await encoder.flush();
      if (times.length !== FRAMES_A_STEP)
        throw new Error(`${times.length} chunks came of ${FRAMES_A_STEP} frames`);
      return times;
    },
    async [Symbol.asyncDispose]() {
      encoder.close();
      device[Symbol.dispose]();
    },
  };
}

/** A gradient that moves, with a little noise: real enough for rate control, and the same each time. */
function fillFrame(frame: Uint8Array, index: number): void {
  for (let i = 0; i < frame.length; i++) frame[i] = (i + 3 * index + ((i * index) & 7)) & 0xff;
}

/** Devices opened, used and closed. */
const opens = (
  open: () => PciDevice | Promise<PciDevice>,
  end: () => Promise<void> = async () => {},
): Work => ({
  async step() {
    const times: number[] = [];
    for (let i = 0; i < OPENS_A_STEP; i++) {
      const startMs = performance.now();
      {
        using device = await open();
        if (device.bars[0]!.read32(0) !== MAGIC) throw new Error(`${device.spec}: MAGIC reads otherwise`);
        device.enableInterrupts("msi", 1);
        using memory = device.allocateDma(65_536);
        memory.bytes().fill(i);
      }
      times.push(performance.now() - startMs);
    }
    return times;
  },
  [Symbol.asyncDispose]: end,
});

/** A guest that boots, runs a command and ends. */
const guests = (): Work => ({
  async step() {
    const startMs = performance.now();
    {
      await using guest = await bootGuest({ arch: "x86_64", devices: ["model:vp9?codec=null"] });
      const { exitCode } = await guest.run(["true"]);
      if (exitCode !== 0) throw new Error(`true ended with ${exitCode} in a guest`);
    }
    return [performance.now() - startMs];
  },
  async [Symbol.asyncDispose]() {},
});

const NULL_CODEC = "model:vp9?codec=null";
const kinds: Readonly<Record<string, () => Promise<Work>>> = {
  "frames-null": () => frames("null"),
  "frames-libvpx": () => frames("libvpx"),
  "opens-here": async () => opens(() => openModel(vp9, { options: { codec: "null" } })),
  "opens-child": async () => opens(() => openDevice(NULL_CODEC)),
  "opens-server": async () => {
    const server = await serveModel(NULL_CODEC);
    return opens(
      () => openDevice(server.spec),
      async () => await server[Symbol.asyncDispose](),
    );
  },
  guests: async () => guests(),
};

await using work = await kinds[process.argv[2]!]!();
for await (const _ of console) {
  const times = await work.step();
  Bun.gc(true);
  console.log(JSON.stringify(times.map((ms) => Math.round(ms * 1000) / 1000)));
}
