/** The growth as a chart: a panel for each thing that grows, with the time beside that of the first row. */
import type { GrowthPoint, GrowthResult } from "./growth.ts";
import { svgDocument, text } from "./svg.ts";
import { short } from "./table.ts";

const TITLE = "What a frame costs while one thing grows";
const COLOURS = { within: "#4e79a7", over: "#d1495b", free: "#8a8a8a" } as const;
const PANEL = { width: 470, height: 250 } as const;
const COLUMNS = 2;
const TOP = 58;
const PLOT = { left: 64, right: 24, top: 34, bottom: 40 } as const;
/** Keeps a figure legible on a line. */
const HALO = 'stroke="white" stroke-width="3" paint-order="stroke"';
const TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** An SVG document. Each panel has a logarithmic scale of its own. */
export function drawGrowth({ series, atMost, rounds }: GrowthResult): string {
  const height = TOP + Math.ceil(series.length / COLUMNS) * PANEL.height + 12;
  const parts = [
    text(12, 22, TITLE, 'font-weight="bold"'),
    text(
      12,
      42,
      `times the first row's; lower is better; red ground: more than ${atMost}x; bars: the middle half of ${rounds} rounds; grey: the processors are full`,
      'fill="#666"',
    ),
  ];
  for (const [index, { title, unit, points }] of series.entries()) {
    const x = (index % COLUMNS) * PANEL.width;
    const y = TOP + Math.floor(index / COLUMNS) * PANEL.height;
    parts.push(`<g transform="translate(${x} ${y})">`, ...panel(title, unit, points, atMost), "</g>");
  }
  return svgDocument(TITLE, COLUMNS * PANEL.width, height, parts);
}

function panel(title: string, unit: string, points: readonly GrowthPoint[], atMost: number): string[] {
  const ratios = points.flatMap(({ ratio }) => [ratio.lower, ratio.upper]);
  const [low, high] = [Math.min(0.5, ...ratios) / 1.3, Math.max(2, ...ratios) * 1.5];
  const left = PLOT.left;
  const right = PANEL.width - PLOT.right;
  const bottom = PANEL.height - PLOT.bottom;
  const x = (index: number) => left + ((index + 0.5) / points.length) * (right - left);
  const y = (ratio: number) =>
    PLOT.top + (Math.log(high / ratio) / Math.log(high / low)) * (bottom - PLOT.top);
  const at = (...values: number[]) => values.map((value) => value.toFixed(1)).join(" ");
  const parts = [
    text(left, 20, title, 'font-weight="bold"'),
    `<rect x="${left}" y="${PLOT.top}" width="${right - left}" height="${(y(atMost) - PLOT.top).toFixed(1)}" fill="#d1495b" opacity="0.12"/>`,
  ];
  const note = 'font-size="11" fill="#999"';
  parts.push(text(right - 6, PLOT.top + 14, "grows", `text-anchor="end" ${note}`));
  parts.push(text(left + 6, bottom - 6, "flat or falling", note));
  for (const tick of TICKS.filter((value) => value >= low && value <= high)) {
    const style = tick === 1 ? 'stroke="#999" stroke-width="2"' : 'stroke="#e5e5e5"';
    parts.push(`<path d="M${at(left, y(tick))}H${right}" ${style}/>`);
    parts.push(text(left - 8, y(tick) + 4, `${tick}x`, 'text-anchor="end" fill="#666"'));
  }
  parts.push(
    `<path d="M${points.map(({ ratio }, i) => at(x(i), y(ratio.median))).join("L")}" stroke="#bbb" stroke-width="1.5" fill="none"/>`,
  );
  for (const [i, { label, value, ratio, isBound }] of points.entries()) {
    const isOver = isBound && ratio.median > atMost;
    const colour = isBound ? (isOver ? COLOURS.over : COLOURS.within) : COLOURS.free;
    parts.push(
      `<path d="M${at(x(i), y(ratio.lower))}V${y(ratio.upper).toFixed(1)}" stroke="${colour}" stroke-width="6" stroke-linecap="round" opacity="0.35"/>`,
      `<circle cx="${x(i).toFixed(1)}" cy="${y(ratio.median).toFixed(1)}" r="4.5" fill="${colour}"/>`,
      text(
        x(i),
        y(ratio.upper) - 10,
        `${short(value.median)} ${unit}`,
        `text-anchor="middle" font-size="11" fill="${colour}" ${HALO}`,
      ),
      text(x(i), bottom + 18, label, 'text-anchor="middle" font-size="11"'),
    );
  }
  return parts;
}
