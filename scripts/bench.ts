/** Compares vfiokit with what people use now, with C, with another commit, and with itself in a guest. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineCommand } from "citty";
import { allocationCases } from "./bench/allocation.ts";
import { type BenchReport, type CaseResult, isOver } from "./bench/case.ts";
import { drawRatios } from "./bench/chart.ts";
import { checkOut, commitHere, ROOT } from "./bench/checkout.ts";
import { compare } from "./bench/compare.ts";
import { encodeCases } from "./bench/encode.ts";
import { growth, measureGrowth } from "./bench/growth.ts";
import { drawGrowth } from "./bench/growth-chart.ts";
import { guestCases } from "./bench/guests.ts";
import { machine } from "./bench/machine.ts";
import { nullCases } from "./bench/null.ts";
import { measurePenalty, penaltyCases } from "./bench/penalty.ts";
import { drawPenalty } from "./bench/penalty-chart.ts";
import { startCases } from "./bench/start.ts";
import { tableOf } from "./bench/table.ts";
import { twinCases } from "./bench/twins.ts";
import { ExitCode } from "./cli/exit-code.ts";
import { interrupted } from "./cli/interrupt.ts";
import { twoColumns } from "./cli/layout.ts";
import { wordError } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";

const compared = [
  ...encodeCases,
  ...nullCases,
  ...startCases,
  ...twinCases,
  ...allocationCases,
  ...guestCases,
];
const cases = [...compared, growth, ...penaltyCases];

const command = defineCommand({
  meta: {
    name: "bench.ts",
    description: `Measure vfiokit against vpxenc, against C programs that do the same, and in an emulated guest against the host.

Cases, and what each is compared with:
${twoColumns(cases.map(({ name, about, theirs }) => [name, `${about}; ${theirs}`]))}

Examples:
  bun run bench.ts encode access
  bun run bench.ts encode-64 --against HEAD~1
  bun run bench.ts --json bench.json --svg charts

Both sides run in turn. A bound, where a figure has one, is for the median of each round's ratio, because a machine's speed drifts.
--json: an object: machine, commit, and cases, an array. A case has name, about, theirs, rounds, and metrics, each with name, unit, ours, theirs, ratio (least, lower quartile, median, upper, most), and what its bound is for ("none" without one), atMost, limit and within; with --against also before and change. The growth has its series, and the penalties their sides, too.
Exit codes: 0 done, 1 a side failed, 2 usage, 3 over a bound, 130 interrupted.`,
  },
  args: {
    case: {
      type: "positional",
      required: false,
      valueHint: "...",
      description: "Cases to run (default: all)",
    },
    rounds: {
      type: "string",
      default: "7",
      valueHint: "N",
      description: "Rounds to count; one more runs first",
    },
    against: {
      type: "string",
      valueHint: "COMMIT",
      description: "Also measure this commit, beside this checkout",
    },
    json: { type: "string", valueHint: "F", description: "Also write the results to this file" },
    svg: { type: "string", valueHint: "DIR", description: "Draw the results into this folder" },
  },
  async run({ args }) {
    const unknown = args._.filter((name) => !cases.some((one) => one.name === name));
    const rounds = Number(args.rounds);
    if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
      await say(
        "error",
        unknown.length
          ? `no case "${unknown[0]}"; see --help`
          : `--rounds ${args.rounds}: it must be 1 or more`,
      );
      process.exit(2);
    }
    const isChosen = ({ name }: { readonly name: string }) => args._.length === 0 || args._.includes(name);
    const results: CaseResult[] = [];
    try {
      // Before files are written, which may be the commit's.
      const report: BenchReport = { machine: machine(), commit: commitHere(), cases: results };
      // Finds places that can't be written before the measurement, not after it.
      if (args.json !== undefined) writeFileSync(args.json, "");
      if (args.svg !== undefined) mkdirSync(args.svg, { recursive: true });
      using before = args.against === undefined ? undefined : checkOut(args.against);
      const keep = (result: CaseResult) => {
        console.log(tableOf(result));
        results.push(result);
        if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(report, null, 2)}\n`);
        // The growth is beside itself, and has a chart of its own.
        const others = results.filter(({ name }) => name !== growth.name);
        if (args.svg !== undefined && others.length > 0)
          writeFileSync(join(args.svg, "ratios.svg"), drawRatios(others));
      };
      for (const bench of compared.filter(isChosen))
        keep(await compare(bench, rounds, { here: ROOT, before: before?.root }));
      if (isChosen(growth)) {
        const result = await measureGrowth(rounds);
        keep(result);
        if (args.svg !== undefined) writeFileSync(join(args.svg, "growth.svg"), drawGrowth(result));
      }
      for (const penalty of penaltyCases.filter(isChosen)) {
        const result = await measurePenalty(penalty, rounds);
        keep(result);
        if (args.svg !== undefined) writeFileSync(join(args.svg, `${penalty.name}.svg`), drawPenalty(result));
      }
    } catch (error) {
      await say("error", wordError(error));
      process.exit(interrupted.aborted ? ExitCode.INTERRUPTED : 1);
    }
    if (results.some(({ metrics }) => metrics.some(isOver))) process.exit(3);
  },
});

await runVerb(command);
