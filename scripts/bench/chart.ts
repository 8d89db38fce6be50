/** Results as a chart: how many times as much as the other side each takes, and what it may take. */
import { type CaseResult, isOver, type MetricResult } from "./case.ts";
import { svgDocument, text } from "./svg.ts";
import { boundText, short } from "./table.ts";

const WIDTH = 1060;
const LEFT = 470;
const RIGHT = 240;
const ROW = 24;
const TOP = 62;
const TITLE = "Time of ours, as a multiple of the other side's";
const COLOURS = { within: "#4e79a7", over: "#d1495b", free: "#8a8a8a", equal: "#999" } as const;

/** An SVG document with a row a metric, on a logarithmic scale. */
export function drawRatios(cases: readonly CaseResult[]): string {
  const rows = cases.flatMap(({ name, theirs, metrics }) =>
    metrics.map((metric) => ({ metric, label: `${name}: ${metric.name} / ${theirs}` })),
  );
  const values = rows.flatMap(({ metric: { ratio } }) => [ratio.lower, ratio.upper]);
  const [low, high] = [Math.min(0.5, ...values), Math.max(2, ...values)];
  const x = (ratio: number) => LEFT + (Math.log(ratio / low) / Math.log(high / low)) * (WIDTH - LEFT - RIGHT);
  const height = TOP + rows.length * ROW + 40;
  const parts = [text(12, 22, TITLE, 'font-weight="bold"')];
  const legend =
    "dot: median; bar: the middle half of the rounds; black mark: what it may be; grey: no bound; left of 1 is faster";
  parts.push(text(12, 42, legend, 'fill="#666"'));
  for (const tick of [0.1, 0.2, 0.5, 1, 2, 5, 10, 20].filter((value) => value >= low && value <= high)) {
    const style = tick === 1 ? `stroke="${COLOURS.equal}" stroke-width="2"` : 'stroke="#e5e5e5"';
    parts.push(`<path d="M${x(tick).toFixed(1)} ${TOP - 8}V${height - 30}" ${style}/>`);
    parts.push(text(x(tick), height - 14, `${tick}x`, 'text-anchor="middle" fill="#666"'));
  }
  for (const [index, { metric, label }] of rows.entries()) {
    const y = TOP + index * ROW + ROW / 2;
    const { ratio } = metric;
    const colour = COLOURS[metric.bounds === "none" ? "free" : isOver(metric) ? "over" : "within"];
    parts.push(text(12, y + 4, label));
    parts.push(
      `<path d="M${x(ratio.lower).toFixed(1)} ${y}H${x(ratio.upper).toFixed(1)}" stroke="${colour}" stroke-width="6" stroke-linecap="round" opacity="0.35"/>`,
      `<circle cx="${x(ratio.median).toFixed(1)}" cy="${y}" r="4.5" fill="${colour}"/>`,
    );
    if (metric.bounds === "ratio")
      parts.push(`<path d="M${x(metric.atMost).toFixed(1)} ${y - 8}v16" stroke="#000" stroke-width="2"/>`);
    parts.push(text(WIDTH - RIGHT + 12, y + 4, figuresOf(metric), `fill="${colour}"`));
  }
  return svgDocument(TITLE, WIDTH, height, parts);
}

function figuresOf(metric: MetricResult): string {
  const figures = `${metric.ratio.median.toFixed(2)}x: ${short(metric.ours.median)} ${metric.unit}`;
  return metric.bounds === "none" ? figures : `${figures}; at most ${boundText(metric)}`;
}
