/** Compares vfiokit with what people use now, and with itself in a guest. */
import { writeFileSync } from "node:fs";
import { defineCommand } from "citty";
import type { BenchCase, BenchResult } from "./bench/case.ts";
import { encode } from "./bench/encode.ts";
import { penalty } from "./bench/penalty.ts";
import { ExitCode } from "./cli/exit-code.ts";
import { interrupted } from "./cli/interrupt.ts";
import { twoColumns } from "./cli/layout.ts";
import { wordError } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";

const cases: readonly BenchCase[] = [encode, penalty];

const command = defineCommand({
  meta: {
    name: "bench.ts",
    description: `Measure vfiokit against vpxenc, and in an emulated guest against the host.

Cases:
${twoColumns(cases.map(({ name, about, bound }) => [name, `${about}; at most ${bound}x`]))}

Examples:
  bun run bench.ts encode --json bench.json
  bun run bench.ts penalty --rounds 5 --svg penalty.svg

The ratio is the median of each round's ratio, because a machine's speed drifts.
Exit codes: 0 done, 1 a side failed, 2 usage, 3 over the bound, 130 interrupted.`,
  },
  args: {
    case: { type: "positional", required: false, description: "The case to run (default: all)" },
    rounds: {
      type: "string",
      default: "7",
      valueHint: "N",
      description: "Rounds to count; one more runs first",
    },
    json: { type: "string", valueHint: "F", description: "Also write the results to this file" },
    svg: { type: "string", valueHint: "F", description: "Draw the penalty to this file" },
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
    if (args.svg !== undefined && !chosen.includes(penalty)) {
      await say("error", "--svg draws the penalty, which is not measured here");
      process.exit(2);
    }
    const results: BenchResult[] = [];
    try {
      // Finds files that can't be written before the measurement, not after it.
      for (const path of [args.json, args.svg]) if (path !== undefined) writeFileSync(path, "");
      for (const bench of chosen) {
        console.log(`${bench.name}: ${bench.about}; rounds: ${rounds}`);
        const result = await bench.measure(rounds);
        const verdict = result.ratio <= result.bound ? "within" : "OVER";
        console.log(`  ${result.ratio.toFixed(3)} is ${verdict} the bound of ${result.bound.toFixed(2)}`);
        results.push(result);
        if (args.json !== undefined)
          writeFileSync(args.json, `${JSON.stringify({ cases: results }, null, 2)}\n`);
        if (args.svg !== undefined && result.draw) writeFileSync(args.svg, result.draw());
      }
    } catch (error) {
      await say("error", wordError(error));
      process.exit(interrupted.aborted ? ExitCode.INTERRUPTED : 1);
    }
    if (results.some(({ ratio, bound }) => ratio > bound)) process.exit(3);
  },
});

await runVerb(command);
