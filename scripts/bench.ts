/** Measures vfiokit beside what people use now. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineCommand } from "citty";
import type { BenchCase } from "./bench/case.ts";
import { encode } from "./bench/encode.ts";
import { median, type Run, runCommand } from "./bench/measure.ts";
import { say } from "./say.ts";
import { runVerb } from "./usage.ts";

const cases: readonly BenchCase[] = [encode];

interface Result {
  readonly name: string;
  readonly unit: "s";
  /** Medians of whole-process wall time. */
  readonly ours: number;
  readonly theirs: number;
  /** Median of the rounds' own ratios: a machine's speed drifts more between rounds than within one. */
  readonly ratio: number;
  readonly bound: number;
  readonly rounds: number;
}

/** Runs both sides in turn, after one round that is not counted. */
async function measure(bench: BenchCase, rounds: number): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-bench-"));
  try {
    const contest = await bench.prepare(folder);
    const ours: Run[] = [];
    const theirs: Run[] = [];
    for (let round = 0; round <= rounds; round++) {
      // Each side goes first as often as the other.
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
    const ratios = ours.map((run, round) => run.wallSeconds / theirs[round]!.wallSeconds);
    print("ours", ours);
    print("theirs", theirs);
    return {
      name: bench.name,
      unit: "s",
      ours: oursMedian,
      theirs: theirsMedian,
      ratio: median(ratios),
      bound: bench.bound,
      rounds,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function print(side: string, runs: readonly Run[]): void {
  const walls = runs.map((run) => run.wallSeconds);
  const [least, most] = [Math.min(...walls), Math.max(...walls)];
  console.log(
    `  ${side.padEnd(7)} wall ${median(walls).toFixed(3)} s (${least.toFixed(3)} to ${most.toFixed(3)})`,
  );
  const names = new Set(runs.flatMap((run) => run.processes.map((process) => process.name)));
  for (const name of names) {
    const uses = runs.flatMap((run) => run.processes.filter((process) => process.name === name));
    const cpu = median(uses.map((use) => use.cpuSeconds));
    const peak = median(uses.map((use) => use.peakMiB));
    console.log(`          ${name}: CPU ${cpu.toFixed(2)} s, peak memory ${peak.toFixed(0)} MiB`);
  }
}

const command = defineCommand({
  meta: {
    name: "bench.ts",
    description: `Measure vfiokit beside what people use now, in turn, as whole processes.

Cases:
${cases.map(({ name, about, bound }) => `  ${name}  ${about}; at most ${bound}x`).join("\n")}

Example:
  bun run bench.ts encode --json bench.json

The ratio is the median of the rounds' own ratios, for a machine's speed drifts.
Exit codes: 0 done, 1 a side failed, 2 usage, 3 over the bound.`,
  },
  args: {
    case: { type: "positional", required: false, description: "The case to run (default: all)" },
    rounds: {
      type: "string",
      default: "7",
      valueHint: "N",
      description: "Counted rounds; one more comes first",
    },
    json: { type: "string", valueHint: "F", description: "Write the results to this file, too" },
  },
  async run({ args }) {
    const chosen = cases.filter(({ name }) => args.case === undefined || name === args.case);
    const rounds = Number(args.rounds);
    if (chosen.length === 0 || !Number.isInteger(rounds) || rounds < 1) {
      await say(
        "error",
        chosen.length
          ? `--rounds ${args.rounds}: it must be 1 or more`
          : `no case "${args.case}"; see --help`,
      );
      process.exit(2);
    }
    const results: Result[] = [];
    try {
      for (const bench of chosen) {
        console.log(`${bench.name}: ${bench.about}, ${rounds} rounds`);
        const result = await measure(bench, rounds);
        const ofMedians = (result.ours / result.theirs).toFixed(3);
        const verdict = result.ratio <= result.bound ? "within" : "OVER";
        console.log(
          `  ratio   ${result.ratio.toFixed(3)}, ${verdict} the bound of ${result.bound.toFixed(2)} (of the medians: ${ofMedians})`,
        );
        results.push(result);
      }
    } catch (error) {
      await say("error", error instanceof Error ? error.message : String(error));
      process.exit(1);
    }
    if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify({ cases: results }, null, 2)}\n`);
    if (results.some(({ ratio, bound }) => ratio > bound)) process.exit(3);
  },
});

await runVerb(command);
