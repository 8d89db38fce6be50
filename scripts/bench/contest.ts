/** Times two commands that do the same work, in turn, as whole processes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchResult } from "./case.ts";
import { type Run, runCommand } from "./measure.ts";
import { median, spread, spreadText } from "./spread.ts";

export interface Contest {
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
  /** Runs after each round. Throws Error if the two did not do the same work. */
  check(): Promise<void>;
}

export interface ContestResult extends BenchResult {
  /** Medians of whole-process wall time. */
  readonly ours: number;
  readonly theirs: number;
}

/** Runs both sides in turn, after one round that does not count. `prepare` makes what they need in a folder. */
export async function hold(
  prepare: (folder: string) => Promise<Contest>,
  rounds: number,
): Promise<Omit<ContestResult, "name" | "bound">> {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-bench-"));
  try {
    const contest = await prepare(folder);
    const ours: Run[] = [];
    const theirs: Run[] = [];
    for (let round = 0; round <= rounds; round++) {
      // In turn, so that neither always has the warmer machine.
      const oursFirst = round % 2 === 0;
      const before = oursFirst ? await runCommand(contest.ours) : undefined;
      const b = await runCommand(contest.theirs);
      const a = before ?? (await runCommand(contest.ours));
      await contest.check();
      if (round === 0) continue;
      ours.push(a);
      theirs.push(b);
    }
    const [oursMedian, theirsMedian] = [ours, theirs].map((runs) =>
      median(runs.map((run) => run.wallSeconds)),
    ) as [number, number];
    const ratio = median(ours.map((run, round) => run.wallSeconds / theirs[round]!.wallSeconds));
    print("ours", ours);
    print("theirs", theirs);
    console.log(`  ratio   ${ratio.toFixed(3)} (of the medians: ${(oursMedian / theirsMedian).toFixed(3)})`);
    return { unit: "s", ours: oursMedian, theirs: theirsMedian, ratio, rounds };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function print(side: string, runs: readonly Run[]): void {
  console.log(`  ${side.padEnd(7)} wall ${spreadText(spread(runs.map((run) => run.wallSeconds)), 3)} s`);
  const names = new Set(runs.flatMap((run) => run.processes.map((process) => process.name)));
  for (const name of names) {
    const uses = runs.flatMap((run) => run.processes.filter((process) => process.name === name));
    const cpu = median(uses.map((use) => use.cpuSeconds));
    const peak = median(uses.map((use) => use.peakMiB));
    console.log(`          ${name}: CPU ${cpu.toFixed(2)} s, peak memory ${peak.toFixed(0)} MiB`);
  }
}
