/** Runs the sides of a comparison in turn. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchCase, CaseResult, Comparison, Figures, Metric, MetricResult } from "./case.ts";
import { spread } from "./spread.ts";

/** Checkouts to measure: this one, and another commit's. */
export interface Checkouts {
  readonly here: string;
  readonly before?: string | undefined;
}

interface Round {
  readonly ours: Figures;
  readonly theirs: Figures;
  readonly before: Figures | undefined;
}

/** One round runs first and does not count. Each round begins with another side, so that none has the warmer machine. */
export async function compare(
  bench: BenchCase,
  rounds: number,
  { here, before }: Checkouts,
): Promise<CaseResult> {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-bench-"));
  let ending: Comparison | undefined;
  try {
    const comparison = await bench.prepare(folder);
    ending = comparison;
    const sides = {
      ours: () => comparison.ours(here),
      theirs: () => comparison.theirs(),
      ...(before !== undefined && { before: () => comparison.ours(before) }),
    };
    const names = Object.keys(sides) as (keyof typeof sides)[];
    const measured: Round[] = [];
    for (let round = 0; round <= rounds; round++) {
      const figures: { -readonly [name in keyof Round]?: Figures } = {};
      for (const offset of names.keys()) {
        const name = names[(round + offset) % names.length]!;
        figures[name] = await sides[name]!();
      }
      await comparison.check?.();
      if (round > 0) measured.push({ before: undefined, ...figures } as Round);
    }
    const metrics = bench.metrics.map((metric) => summarize(metric, measured));
    return { name: bench.name, about: bench.about, theirs: bench.theirs, rounds, metrics };
  } finally {
    await ending?.end?.();
    rmSync(folder, { recursive: true });
  }
}

function summarize(metric: Metric, rounds: readonly Round[]): MetricResult {
  const value = (figures: Figures) => {
    const figure = figures[metric.name];
    if (figure === undefined) throw new Error(`"${metric.name}" was not measured`);
    return figure;
  };
  const over = (of: (round: Round) => number) => spread(rounds.map(of));
  const ours = over((round) => value(round.ours));
  const ratio = over((round) => value(round.ours) / value(round.theirs));
  const measured = {
    ours,
    theirs: over((round) => value(round.theirs)),
    ratio,
    ...(rounds[0]!.before && {
      before: over((round) => value(round.before!)),
      change: over((round) => value(round.ours) / value(round.before!)),
    }),
  };
  if (metric.bounds === "none") return { ...metric, ...measured };
  const bounded = {
    ratio: ratio.median,
    difference: over((round) => value(round.ours) - value(round.theirs)).median,
    value: ours.median,
  };
  return { ...metric, ...measured, within: bounded[metric.bounds] <= metric.atMost };
}
