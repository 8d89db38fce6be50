/** A case's results as lines of text. */
import { type CaseResult, isOver, type Metric } from "./case.ts";
import type { Spread } from "./spread.ts";

/** Three digits that count. */
export function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const quartiles = ({ lower, median, upper }: Spread) =>
  `${short(median)} (${short(lower)} to ${short(upper)})`;

/** "1.00x", "15 ms more", "45 ms"; empty without a bound. */
export function boundText(metric: Metric): string {
  if (metric.bounds === "none") return "";
  const { bounds, atMost, unit } = metric;
  if (bounds === "ratio") return `${atMost.toFixed(2)}x`;
  return bounds === "difference" ? `${atMost} ${unit} more` : `${atMost} ${unit}`;
}

/** Medians, and between which values half of the rounds are. */
export function tableOf({ name, about, theirs, rounds, metrics }: CaseResult): string {
  const hasBefore = metrics.some(({ before }) => before !== undefined);
  const head = ["", "ours", theirs, "ratio", "at most", "", ...(hasBefore ? ["before", "change"] : [])];
  const rows = metrics.map((metric) => [
    `${metric.name}, ${metric.unit}`,
    quartiles(metric.ours),
    quartiles(metric.theirs),
    quartiles(metric.ratio),
    boundText(metric),
    metric.bounds === "none" ? "" : isOver(metric) ? "OVER" : "within",
    ...(metric.before && metric.change ? [quartiles(metric.before), quartiles(metric.change)] : []),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  const lines = [head, ...rows].map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")}`.trimEnd(),
  );
  return [`${name}: ${about}; rounds: ${rounds}`, ...lines].join("\n");
}
