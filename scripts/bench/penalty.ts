/** Measures the cost of an emulated guest: the same clip, settings and program on the host and in both guests. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EncodeReport, Portions } from "../../src/vp9/encoder/report.ts";
import type { MetricResult } from "./case.ts";
import { decodeStreet, testPicture } from "./clip.ts";
import { type PenaltyResult, type Side, type SideResult, sides } from "./penalty-result.ts";
import { type InputPlace, openSide, type PenaltySide, type Way } from "./penalty-sides.ts";
import { penaltyText } from "./penalty-text.ts";
import { spread } from "./spread.ts";

export interface PenaltyCase {
  readonly name: string;
  readonly about: string;
  readonly theirs: string;
  readonly clip: (folder: string) => Promise<string>;
  readonly bitrate: number;
  readonly place: InputPlace;
  readonly way: Way;
  /** Bound of each guest's ratio. */
  readonly atMost: number;
}

/** 216 frames: 54, repeated. Enough to measure the pace. */
const street = (folder: string) => decodeStreet(folder, 4);
const small = (folder: string) => testPicture(folder, "640x360", 400);

const theirs = "the host";

export const penaltyCases: readonly PenaltyCase[] = [
  {
    name: "penalty",
    about: "1080p by DMA in emulated guests, from their share, in steady state",
    theirs,
    clip: street,
    bitrate: 4000,
    place: "share",
    way: "vfio",
    atMost: 1.1,
  },
  {
    name: "penalty-memory",
    about: "1080p by DMA in emulated guests, from their own memory, in steady state",
    theirs,
    clip: street,
    bitrate: 4000,
    place: "memory",
    way: "vfio",
    atMost: 1.1,
  },
  {
    name: "penalty-physical",
    about:
      "1080p by DMA in emulated guests without an IOMMU (physical addresses), from their share, in steady state",
    theirs,
    clip: street,
    bitrate: 4000,
    place: "share",
    way: "physical",
    atMost: 1.1,
  },
  {
    name: "penalty-window",
    about: "1080p through the window in emulated guests without an IOMMU, from their share, in steady state",
    theirs,
    clip: street,
    bitrate: 4000,
    place: "share",
    way: "window",
    atMost: 1.1,
  },
  {
    name: "penalty-360p",
    about: "640x360 by DMA in emulated guests, from their share, in steady state",
    theirs,
    clip: small,
    bitrate: 1000,
    place: "share",
    way: "vfio",
    atMost: 1.5,
  },
  {
    name: "penalty-360p-memory",
    about: "640x360 by DMA in emulated guests, from their own memory, in steady state",
    theirs,
    clip: small,
    bitrate: 1000,
    place: "memory",
    way: "vfio",
    atMost: 1.5,
  },
];

/**
 * Measures, and prints each side's figures. Each guest boots once for all rounds. Throws Error saying what is missing and how to
 * get it, or what differed.
 */
export async function measurePenalty(
  { name, about, theirs, clip, bitrate, place, way, atMost }: PenaltyCase,
  rounds: number,
): Promise<PenaltyResult> {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-bench-"));
  try {
    const settings = ["--rc=cbr", `--bitrate=${bitrate}`, "--threads=1", "--json"];
    const job = { clip: await clip(folder), place, way, settings };
    await using held = new AsyncDisposableStack();
    const open = {} as Record<Side, PenaltySide>;
    for (const side of sides) open[side] = held.use(await openSide(side, job));
    const measured: Record<Side, EncodeReport[]> = { host: [], x86_64: [], aarch64: [] };
    for (let round = 0; round <= rounds; round++) {
      const outputs: Buffer[] = [];
      for (const offset of sides.keys()) {
        // In turn, so that none always has the warmer machine.
        const side = sides[(round + offset) % sides.length]!;
        const output = join(folder, "out.ivf");
        const report = await open[side].encode(output);
        outputs.push(readFileSync(output));
        if (round > 0) measured[side].push(report);
        rmSync(output);
      }
      if (!outputs.every((bytes) => bytes.length > 0 && bytes.equals(outputs[0]!)))
        throw new Error("the files differ, so the times can't be compared");
      if (round > 0) printRound(round, measured);
    }
    const results = sides.map((side) => summarize(side, open[side], measured[side], measured.host));
    const [host, ...guests] = results;
    const result: PenaltyResult = {
      name,
      about,
      theirs,
      rounds,
      metrics: guests.map((guest) => metricOf(guest, host!, atMost)),
      frames: measured.host[0]!.frames,
      settings,
      sides: results,
    };
    console.log(penaltyText(result));
    return result;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const metricOf = (guest: SideResult, host: SideResult, atMost: number): MetricResult => ({
  name: `a frame, ${guest.name} guest`,
  unit: "ms",
  bounds: "ratio",
  atMost,
  limit: "the codec's own time",
  ours: guest.steadyFrameMs,
  theirs: host.steadyFrameMs,
  ratio: guest.steadyRatio,
  within: guest.steadyRatio.median <= atMost,
});

function summarize(
  name: Side,
  { facts }: PenaltySide,
  runs: readonly EncodeReport[],
  host: readonly EncodeReport[],
): SideResult {
  const over = (value: (run: EncodeReport) => number) => spread(runs.map(value));
  const ratio = (value: (run: EncodeReport) => number) =>
    spread(runs.map((run, round) => value(run) / value(host[round]!)));
  const perFrame = (portion: keyof Portions) => over((run) => run.portionsMs[portion] / run.frames);
  return {
    name,
    accelerator: facts?.accelerator,
    kernel: facts?.kernel,
    steadyFrameMs: over((run) => run.steadyFrameMs),
    steadyRatio: ratio((run) => run.steadyFrameMs),
    wallRatio: ratio((run) => run.wallMs),
    portions: {
      read: perFrame("read"),
      submit: perFrame("submit"),
      wait: perFrame("wait"),
      collect: perFrame("collect"),
      write: perFrame("write"),
    },
    codec: over((run) => run.deviceMs / run.frames),
    startMs: over((run) => run.portionsMs.start),
    finishMs: over((run) => run.portionsMs.finish),
    wallMs: over((run) => run.wallMs),
  };
}

function printRound(round: number, measured: Record<Side, EncodeReport[]>): void {
  const steady = sides.map((side) => `${side} ${measured[side].at(-1)!.steadyFrameMs.toFixed(1)}`);
  console.log(`  round ${round}, ms a frame: ${steady.join(", ")}`);
}
