/** The penalty as a chart: one bar per side, divided by how each frame's time was spent. */
import { framePortions, type PenaltyResult } from "./penalty-result.ts";
import { svgDocument, text } from "./svg.ts";

const colours = {
  read: "#4e79a7",
  submit: "#f28e2b",
  wait: "#d9d9d9",
  collect: "#59a14f",
  write: "#b07aa1",
} as const;

/** Style of the line for the codec's time. */
const CODEC = 'stroke="#c00" stroke-width="2" stroke-dasharray="4 2" fill="none"';

const WIDTH = 760;
const LEFT = 130;
const RIGHT = 190;
const BAR = 30;
const ROW = 58;
const TOP = 66;

/** An SVG document. */
export function drawPenalty({ about, sides, frames, rounds }: PenaltyResult): string {
  const title = `${about}: ms a frame, and what they went to`;
  const most = Math.max(...sides.map(({ steadyFrameMs }) => steadyFrameMs.most));
  const scale = (WIDTH - LEFT - RIGHT) / most;
  const height = TOP + sides.length * ROW + 34;
  const parts: string[] = [];
  const write = (...words: Parameters<typeof text>) => parts.push(text(...words));

  write(12, 22, title, 'font-weight="bold"');
  let legend = 12;
  for (const portion of framePortions) {
    parts.push(`<rect x="${legend}" y="36" width="12" height="12" fill="${colours[portion]}"/>`);
    const label = portion === "wait" ? "wait (for the device)" : portion;
    write(legend + 17, 46, label);
    legend += 34 + label.length * 7;
  }
  parts.push(`<path d="M${legend + 6} 34v16" ${CODEC}/>`);
  write(legend + 17, 46, "the codec's own time");
  for (const [index, side] of sides.entries()) {
    const { name, accelerator, steadyFrameMs, steadyRatio, portions, codec } = side;
    const y = TOP + index * ROW;
    write(12, y + 13, name === "host" ? "host" : `${name} guest`);
    if (accelerator) write(12, y + 28, accelerator, 'fill="#666"');
    let x = LEFT;
    for (const portion of framePortions) {
      const width = portions[portion].median * scale;
      parts.push(
        `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${colours[portion]}"/>`,
      );
      x += width;
    }
    parts.push(`<path d="M${(LEFT + codec.median * scale).toFixed(1)} ${y - 2}v${BAR + 4}" ${CODEC}/>`);
    // From the least to the most of the rounds, marked at the median.
    const [least, median, end] = [steadyFrameMs.least, steadyFrameMs.median, steadyFrameMs.most].map((ms) =>
      (LEFT + ms * scale).toFixed(1),
    );
    const middle = y + BAR + 7;
    parts.push(`<path d="M${least} ${middle}H${end}M${median} ${middle - 4}v8" stroke="#333"/>`);
    const ratio = `${steadyRatio.median.toFixed(2)}x (${steadyRatio.least.toFixed(2)} to ${steadyRatio.most.toFixed(2)})`;
    const label = `${steadyFrameMs.median.toFixed(1)} ms${name === "host" ? "" : `, ${ratio}`}`;
    write(Math.max(x, LEFT + steadyFrameMs.most * scale) + 10, y + BAR / 2 + 5, label);
  }
  const key = `bars: medians of rounds (${rounds}) of ${frames} frames; lines: the steady pace, from the fastest round to the slowest`;
  write(12, height - 12, key, 'fill="#666"');
  return svgDocument(title, WIDTH, height, parts);
}
