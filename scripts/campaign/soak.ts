/**
 * Long work in few processes: what they hold must not grow with it. A run is one step of one kind of work: a thousand frames, ten
 * opens of a device, a guest. Each kind has a process of its own for all of its steps, so that it alone is measured.
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constant, constantFrom, oneof } from "fast-check";
import type { Campaign, Counts, Figures, Rig } from "./campaign.ts";
import { growthOf, quantile } from "./soak/flat.ts";
import { type Held, heldBy } from "./soak/processes.ts";

const FRAME_BYTES = (64 * 64 * 3) / 2;
const FRAMES_A_STEP = 1000;
/** Frames that are timed together where they go through a pipe, which holds some. */
const TIMED_TOGETHER = 50;
/** After that it is no delay, but a process that was left. */
const SETTLE_MS = 3000;

/** A process that does one kind of work. */
interface Worker extends AsyncDisposable {
  readonly pid: number;
  /** Milliseconds of each frame, open or guest of a step. */
  step(): Promise<number[]>;
  /** Ends the work. Throws Error: it is not complete. */
  end?(): Promise<void>;
}

/** What a step is, for counting, and how many of its parts it has. */
interface Kind {
  readonly of: string;
  readonly parts: number;
  open(folder: string): Worker;
}

const frames = (name: string): Kind => ({ of: "frames", parts: FRAMES_A_STEP, open: () => worker(name) });
const hour = (container: "ivf" | "webm"): Kind => ({
  of: "frames",
  parts: FRAMES_A_STEP,
  open: (folder) => encoding(join(folder, `hour.${container}`)),
});
const opens = (name: string): Kind => ({ of: "opens", parts: 10, open: () => worker(name) });

const kinds = {
  "frames-null": frames("frames-null"),
  "frames-libvpx": frames("frames-libvpx"),
  "hour-webm": hour("webm"),
  "hour-ivf": hour("ivf"),
  "opens-here": opens("opens-here"),
  "opens-child": opens("opens-child"),
  "opens-server": opens("opens-server"),
  guests: { of: "guests", parts: 1, open: () => worker("guests") },
} as const satisfies Record<string, Kind>;
type Name = keyof typeof kinds;

/** With the default runs: half a million frames with each codec, an hour of video in each container, 350 opens of each kind. */
export const soak: Campaign<Name> = {
  name: "soak",
  about: "a thousand frames, or ten opens, in a process that has done many; what it holds stays as it is",
  runs: 1_290,
  limitMs: 120_000,
  cases: oneof(
    { weight: 500, arbitrary: constant<Name>("frames-null") },
    { weight: 500, arbitrary: constant<Name>("frames-libvpx") },
    { weight: 95, arbitrary: constant<Name>("hour-webm") },
    { weight: 95, arbitrary: constant<Name>("hour-ivf") },
    { weight: 105, arbitrary: constantFrom<Name[]>("opens-here", "opens-child", "opens-server") },
  ),
  open: async () => openRig(),
};

export const soakGuests: Campaign<Name> = {
  name: "soak-guests",
  about: "a guest with an encoder boots, runs a command and ends; its owner holds what it held before",
  runs: 200,
  limitMs: 300_000,
  cases: constant<Name>("guests"),
  open: async () => openRig(),
};

/** One kind of work so far. */
interface Progress {
  readonly worker: Worker;
  readonly held: Held[];
  /** Since the last figures. */
  times: number[];
}

function openRig(): Rig<Name> {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-soak-"));
  const all = new Map<Name, Progress>();
  const progressOf = (name: Name): Progress => {
    const known = all.get(name);
    if (known) return known;
    const begun = { worker: kinds[name].open(folder), held: [], times: [] };
    all.set(name, begun);
    return begun;
  };
  return {
    async run(name) {
      const { worker, held, times } = progressOf(name);
      times.push(...(await worker.step()));
      held.push(await settled(worker.pid, held.at(-1)));
      const { of, parts } = kinds[name];
      return { [`${name}: ${of}`]: parts } satisfies Counts;
    },
    figures() {
      const figures: Record<string, number> = {};
      for (const [name, progress] of all) {
        const { held, times } = progress;
        const { memoryKiB, descriptors } = held.at(-1)!;
        figures[`${name}: memory, KiB`] = memoryKiB;
        figures[`${name}: descriptors`] = descriptors;
        if (times.length > 0) {
          figures[`${name}: median, ms`] = rounded(quantile(times, 0.5));
          figures[`${name}: 99th percentile, ms`] = rounded(quantile(times, 0.99));
        }
        progress.times = [];
      }
      return figures satisfies Figures;
    },
    async finish() {
      const grown = [...all].flatMap(([name, { held }]) => {
        const growth = growthOf(held);
        return growth === undefined ? [] : [`${name}: ${growth}`];
      });
      if (grown.length > 0) throw new Error(grown.join("\n"));
      for (const { worker } of all.values()) await worker.end?.();
    },
    async [Symbol.asyncDispose]() {
      for (const { worker } of all.values()) await worker[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What a process holds once a step's end has reached those that it has started; they may take a moment. */
async function settled(pid: number, before: Held | undefined): Promise<Held> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const held = heldBy(pid);
    if (!before || performance.now() > deadline) return held;
    if (held.processes <= before.processes && held.descriptors <= before.descriptors) return held;
    await Bun.sleep(20);
  }
}

const rounded = (value: number) => Math.round(value * 1000) / 1000;

/** A process of worker.ts. */
function worker(kind: string): Worker {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "soak/worker.ts"), kind], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  return {
    pid: child.pid,
    async step() {
      child.stdin.write("step\n");
      await child.stdin.flush();
      let answer = "";
      while (!answer.endsWith("\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`the process for ${kind} ended with ${await child.exited}: ${answer}`);
        answer += decoder.decode(value, { stream: true });
      }
      return JSON.parse(answer) as number[];
    },
    async [Symbol.asyncDispose]() {
      await child.stdin.end();
      await within(20_000, child);
    },
  };
}

/** One encode.ts that gets its video, as long as the campaign goes on, from a pipe. A frame's time is from one that it takes to the next. */
function encoding(output: string): Worker {
  const program = join(import.meta.dir, "../encode.ts");
  const words = ["-", "--size", "64x64", "--fps", "25", "--quiet", "-o", output];
  const child = Bun.spawn([process.execPath, program, ...words], { stdio: ["pipe", "ignore", "inherit"] });
  const frame = new Uint8Array(FRAME_BYTES);
  let count = 0;
  let ended = false;
  const finish = async () => {
    if (ended) return;
    ended = true;
    await child.stdin.end();
    await within(60_000, child);
  };
  return {
    pid: child.pid,
    async step() {
      const times: number[] = [];
      let startMs = performance.now();
      for (let i = 1; i <= FRAMES_A_STEP; i++, count++) {
        for (let at = 0; at < FRAME_BYTES; at++) frame[at] = (at + 3 * count + ((at * count) & 7)) & 0xff;
        child.stdin.write(frame);
        await child.stdin.flush();
        if (i % TIMED_TOGETHER === 0) {
          times.push((performance.now() - startMs) / TIMED_TOGETHER);
          startMs = performance.now();
        }
        if (child.exitCode !== null) throw new Error(`encode.ts ended with ${child.exitCode}`);
      }
      return times;
    },
    async end() {
      await finish();
      if (child.exitCode !== 0) throw new Error(`encode.ts ended with ${child.exitCode ?? child.signalCode}`);
      const isIvf = output.endsWith(".ivf");
      const written = isIvf ? new DataView(readFileSync(output).buffer).getUint32(24, true) : count;
      if (written !== count) throw new Error(`${output} has ${written} of ${count} frames`);
      if (statSync(output).size < count) throw new Error(`${output} has ${statSync(output).size} bytes`);
    },
    [Symbol.asyncDispose]: finish,
  };
}

/** Waits for a process to end; kills it if that takes too long. */
async function within(limitMs: number, child: Bun.Subprocess): Promise<void> {
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  await child.exited;
  clearTimeout(timer);
}
