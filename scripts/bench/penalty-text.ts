/** A penalty's sides as lines of text. */
import { framePortions, type PenaltyResult, type SideResult } from "./penalty-result.ts";
import { type Spread, spreadText } from "./spread.ts";

export function penaltyText({ sides, frames }: PenaltyResult): string {
  const titles = sides.map(({ name, accelerator }) => (accelerator ? `${name} guest, ${accelerator}` : name));
  const row = (title: string, cells: readonly string[]) =>
    `  ${title.padEnd(24)}${cells.map((cell) => cell.padEnd(24)).join("")}`.trimEnd();
  const rows = (title: string, value: (side: SideResult) => Spread, digits: number) =>
    row(
      title,
      sides.map((side) => spreadText(value(side), digits)),
    );
  return [
    row(`${frames} frames`, titles),
    rows("ms a frame, steady", (side) => side.steadyFrameMs, 1),
    rows("  to the host's", (side) => side.steadyRatio, 3),
    ...framePortions.map((portion) => rows(`  ${portion}`, (side) => side.portions[portion], 2)),
    rows("the codec's own", (side) => side.codec, 1),
    rows("start, ms", (side) => side.startMs, 0),
    rows("finish, ms", (side) => side.finishMs, 0),
    rows("in all, ms", (side) => side.wallMs, 0),
    rows("  to the host's", (side) => side.wallRatio, 3),
  ].join("\n");
}
