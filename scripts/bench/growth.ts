/** Measures what a frame costs while one thing grows: the frames' size or number, the frames in flight, the devices. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { bunProgram } from "../../src/os/bun-program.ts";
import type { CaseResult, MetricResult } from "./case.ts";
import { type GrowthRow, type GrowthSeries, growthPlan } from "./growth-plan.ts";
import { printedBy } from "./measure.ts";
import { type Spread, spread } from "./spread.ts";

const PROGRAM = join(import.meta.dir, "programs/growth.ts");
/** "Flat or falling", with room for noise. */
const AT_MOST = 1.1;
/** Time limit of one row. */
const TIMEOUT_MS = 300_000;

/** A row of a chart. */
export interface GrowthPoint {
  readonly label: string;
  readonly value: Spread;
  /** To the first row in the same rounds. */
  readonly ratio: Spread;
  readonly isBound: boolean;
}

export interface GrowthResult extends CaseResult {
  readonly atMost: number;
  readonly series: readonly {
    readonly title: string;
    readonly unit: "ns" | "us";
    readonly points: readonly GrowthPoint[];
  }[];
}

export const growth = {
  name: "growth",
  about:
    "what a frame costs by DMA with the null codec, which measures the road and not libvpx: larger frames, more in flight, longer videos, more devices in one process",
  theirs: "the first row of each series",
} as const;

/** Throws Error with a program's words if it fails. */
export async function measureGrowth(
  rounds: number,
  plan: readonly GrowthSeries[] = growthPlan,
): Promise<GrowthResult> {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-bench-"));
  try {
    const file = join(folder, "frames.yuv");
    writeFileSync(file, frames(plan));
    const measured = new Map<GrowthRow, number[]>();
    for (let round = 0; round <= rounds; round++)
      for (const { rows, per } of plan)
        for (const row of rows) {
          if (row.once && round < rounds) continue;
          const { time } = await printedBy(commandOf(file, row), TIMEOUT_MS);
          const before = measured.get(row) ?? [];
          if (round > 0) measured.set(row, [...before, time! / per(row)]);
          console.log(`  round ${round}: ${row.label}, us a frame: ${time!.toFixed(1)}`);
        }
    return summarize(rounds, plan, (row) => measured.get(row)!);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Two of the largest frames. Their bytes differ, as those of video do. */
function frames(plan: readonly GrowthSeries[]): Uint8Array {
  const largest = Math.max(...plan.flatMap(({ rows }) => rows).map(({ width, height }) => width * height));
  return new Uint8Array(3 * largest).map((_, i) => (i * 2_654_435_761) >>> 24);
}

const commandOf = (file: string, { width, height, depth, frames, devices }: GrowthRow) => [
  ...bunProgram(PROGRAM),
  file,
  ...[width, height, depth, frames, devices].map(String),
];

function summarize(
  rounds: number,
  plan: readonly GrowthSeries[],
  values: (row: GrowthRow) => readonly number[],
): GrowthResult {
  const processors = availableParallelism();
  const series = plan.map(({ title, unit, rows, isBound }) => ({
    title,
    unit,
    points: rows.map((row): GrowthPoint => {
      // One that runs once runs in the last round.
      const first = values(rows[0]!).slice(-values(row).length);
      return {
        label: row.label,
        value: spread(values(row)),
        ratio: spread(values(row).map((value, round) => value / first[round]!)),
        isBound: isBound(row, processors),
      };
    }),
  }));
  const metrics = series.flatMap(({ points, unit }, index) =>
    points.slice(1).map(({ label, value, ratio, isBound }): MetricResult => {
      const name = `${label}, ${plan[index]!.name}`;
      const figures = { name, unit, ours: value, theirs: points[0]!.value, ratio };
      if (!isBound) return { ...figures, bounds: "none" };
      const bound = { bounds: "ratio", atMost: AT_MOST, limit: "flat or falling" } as const;
      return { ...figures, ...bound, within: ratio.median <= AT_MOST };
    }),
  );
  return { ...growth, rounds, metrics, atMost: AT_MOST, series };
}
