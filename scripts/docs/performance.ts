/** docs/performance.md, made from what bench.ts wrote: docs/performance.json. */
import { type BenchReport, type CaseResult, isOver, type MetricResult } from "../bench/case.ts";
import { growth } from "../bench/growth.ts";
import { boundText, short } from "../bench/table.ts";
import { reasons } from "./performance-reasons.ts";

export function performancePage({ machine, commit, cases }: BenchReport, madeBy: string): string {
  const metrics = cases.flatMap((one) => one.metrics).filter(({ bounds }) => bounds !== "none");
  const within = metrics.filter((metric) => !isOver(metric)).length;
  return `<!-- ${madeBy} makes this file from docs/performance.json -->

# Performance

Each row is something that vfiokit does, beside what people use for it now or beside a C program that does the same
(\`test/bench/c\`). Both run in turn, ${cases[0]?.rounds} rounds or more after one that does not count. A ratio is the median of the rounds'
own ratios. In brackets are the quartiles: half of the rounds lie between them.

![the ratios, and what they may be](ratios.svg)

The figures are from ${machine.processors} processors (${machine.processor}), Linux ${machine.kernel}, Bun ${machine.bun}, at commit ${commit}. ${within} of ${metrics.length}
are within their bounds. On your machine:

\`\`\`sh
bun run bench.ts --json docs/performance.json --svg docs && bun run docs.ts
\`\`\`

With \`--against COMMIT\` another commit is measured in the same rounds.

${cases.map(section).join("\n\n")}
`;
}

function section({ name, about, theirs, rounds, metrics }: CaseResult): string {
  const rows = metrics.map((metric) => `| ${cellsOf(metric).join(" | ")} |`);
  const reason = metrics.some(isOver) ? reasons[name] : undefined;
  return [
    `## ${name}`,
    "",
    `Ours: ${about}. Theirs: ${theirs}. ${rounds} rounds.`,
    "",
    "| | ours | theirs | ratio | at most | | limited by |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...rows,
    ...(reason === undefined ? [] : ["", reason]),
    ...(name === growth.name ? ["", "![the growth: a panel for each thing that grows](growth.svg)"] : []),
  ].join("\n");
}

const times = (ratio: number) => (ratio < 0.1 ? ratio.toPrecision(2) : ratio.toFixed(2));

function cellsOf(metric: MetricResult): string[] {
  const { name, unit, ours, theirs, ratio } = metric;
  const quartiles = `${times(ratio.median)} (${times(ratio.lower)} to ${times(ratio.upper)})`;
  const values = [short(ours.median), short(theirs.median)].map((value) => `${value} ${unit}`);
  if (metric.bounds === "none") return [name, ...values, quartiles, "", "", ""];
  return [name, ...values, quartiles, boundText(metric), metric.within ? "within" : "**over**", metric.limit];
}
