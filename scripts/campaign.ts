/** Looks for faults of vfiokit: many runs, made from a seed, on devices, servers, clients, files and signals that misbehave. */
import { writeFileSync } from "node:fs";
import { defineCommand } from "citty";
import type { CampaignResult } from "./campaign/campaign.ts";
import { carryOut } from "./campaign/carry-out.ts";
import { campaigns } from "./campaign/list.ts";
import { ExitCode } from "./cli/exit-code.ts";
import { interrupted } from "./cli/interrupt.ts";
import { twoColumns } from "./cli/layout.ts";
import { wholeNumber } from "./cli/number.ts";
import { clock, openProgress } from "./cli/progress.ts";
import { wordError } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";

const FAILURE_FOUND = 3;
const MOST_RUNS = 1_000_000_000;

const command = defineCommand({
  meta: {
    name: "campaign.ts",
    description: `Look for faults of vfiokit, with many runs that are made from a seed.

Campaigns:
${twoColumns(campaigns.map(({ name, about, runs }) => [name, `${about}; ${runs} runs by default`]))}

Examples:
  bun run campaign.ts faults
  bun run campaign.ts server --runs 100 --seed 7 --json server.json

A campaign ends with its first failed run, and then looks for the shortest one that fails, and prints the command that repeats it.
--json: an array with an object for each campaign: name, about, seed, runs, seconds, counts (by what was counted), samples (figures such as descriptors and memory, at ten points), and failure (case, error, command) if one was found.
Exit codes: 0 no failure found, 1 a campaign could not start, 2 usage, 3 a run failed, 130 interrupted.`,
  },
  args: {
    campaign: {
      type: "positional",
      required: false,
      valueHint: "...",
      description: "Campaigns (default: all)",
    },
    runs: { type: "string", valueHint: "N", description: "Runs of each campaign" },
    seed: { type: "string", valueHint: "S", description: "Seed of all runs (default: another each time)" },
    path: { type: "string", valueHint: "P", description: "Only the case of a failure that printed it" },
    json: { type: "string", valueHint: "F", description: "Also write the results to this file" },
    quiet: { type: "boolean", default: false, description: "Print failures only" },
  },
  async run({ args }) {
    const results: CampaignResult[] = [];
    try {
      const { chosen, runs, seed } = read(args);
      if (args.json !== undefined) writeFileSync(args.json, "");
      for (const one of chosen) {
        if (interrupted.aborted) break;
        const progress = openProgress(!args.quiet);
        const startMs = performance.now();
        const total = args.path === undefined ? (runs ?? one.runs) : 1;
        const result = await carryOut(one, {
          ...{ runs, seed, path: args.path, signal: interrupted },
          onRun: (done) =>
            progress.update(() => {
              const leftSeconds = ((performance.now() - startMs) / done / 1000) * (total - done);
              return `${one.name}: run ${done}/${total}, ${clock(leftSeconds)} left`;
            }),
        }).finally(() => progress.end());
        results.push(result);
        if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(results, null, 2)}\n`);
        if (!args.quiet || result.failure) console.log(summaryOf(result));
      }
    } catch (error) {
      await say("error", wordError(error));
      process.exit(error instanceof UsageError ? ExitCode.USAGE : 1);
    }
    if (results.some(({ failure }) => failure)) process.exit(FAILURE_FOUND);
    process.exit(interrupted.aborted ? ExitCode.INTERRUPTED : 0);
  },
});

/** Throws UsageError. */
function read(args: {
  readonly _: readonly string[];
  readonly runs?: string | undefined;
  readonly seed?: string | undefined;
  readonly path?: string | undefined;
}) {
  const unknown = args._.find((name) => !campaigns.some((one) => one.name === name));
  if (unknown !== undefined) throw new UsageError(`no campaign "${unknown}"; see --help`);
  const chosen = campaigns.filter(({ name }) => args._.length === 0 || args._.includes(name));
  if (args.path !== undefined && (chosen.length !== 1 || args.seed === undefined))
    throw new UsageError("--path repeats a failure of one campaign: name it, and its --seed");
  return {
    chosen,
    runs: args.runs === undefined ? undefined : wholeNumber("--runs", args.runs, 1, MOST_RUNS),
    seed:
      args.seed === undefined
        ? Math.floor(Math.random() * 2 ** 31)
        : wholeNumber("--seed", args.seed, 0, 2 ** 31 - 1),
  };
}

function summaryOf({ name, runs, seconds, seed, counts, failure }: CampaignResult): string {
  const counted = Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = counted.map(([what, count]) => `  ${String(count).padStart(9)}  ${what}`);
  const head = `${name}: ${runs} runs in ${clock(seconds)}, seed ${seed}: ${failure ? "a run failed" : "no failure"}`;
  const found = failure
    ? ["", failure.error, "", `the shortest case: ${failure.case}`, `again: ${failure.command}`]
    : [];
  return [head, ...lines, ...found].join("\n");
}

await runVerb(command);
