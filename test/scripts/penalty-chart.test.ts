import { expect, test } from "bun:test";
import { drawPenalty } from "../../scripts/bench/penalty-chart.ts";
import { framePortions, type SideResult, sides } from "../../scripts/bench/penalty-result.ts";
import { spread } from "../../scripts/bench/spread.ts";

/** A side whose every frame takes these ms, by portion. */
function side(name: SideResult["name"], ms: readonly number[]): SideResult {
  const [read, submit, wait, collect, write] = ms.map((value) => spread([value])) as never[];
  const frameMs = ms.reduce((sum, value) => sum + value, 0);
  const one = spread([1]);
  return {
    name,
    accelerator: name === "host" ? undefined : "tcg",
    kernel: name === "host" ? undefined : "6.12",
    steadyFrameMs: spread([frameMs, frameMs + 1, frameMs + 2]),
    steadyRatio: spread([1, 1.5, 2]),
    wallRatio: one,
    portions: { read: read!, submit: submit!, wait: wait!, collect: collect!, write: write! },
    codec: spread([frameMs]),
    startMs: one,
    finishMs: one,
    wallMs: one,
  };
}

test("the penalty's picture has a bar a side, as wide as its portions take, and the ratios of the guests", () => {
  const drawn = drawPenalty({
    name: "penalty",
    about: "",
    theirs: "the host",
    rounds: 3,
    metrics: [],
    frames: 216,
    settings: [],
    sides: sides.map((name, i) => side(name, [1, 2, 30, 4, 1 + 2 * i])),
  });
  const bars = [...drawn.matchAll(/<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)" height="30"/g)];
  expect(bars).toHaveLength(sides.length * framePortions.length);
  const widths = sides.map((_, i) =>
    bars.slice(i * 5, i * 5 + 5).reduce((sum, [, , , width]) => sum + Number(width), 0),
  );
  // 38, 40 and 42 ms.
  expect(widths[1]! / widths[0]!).toBeCloseTo(40 / 38, 2);
  expect(widths[2]! / widths[0]!).toBeCloseTo(42 / 38, 2);
  expect(drawn.match(/1\.50x \(1\.00 to 2\.00\)/g)).toHaveLength(2);
  // Well-formed: each element is opened and closed.
  expect(drawn.match(/<text /g)?.length).toBe(drawn.match(/<\/text>/g)?.length);
  expect(drawn).toStartWith('<svg xmlns="http://www.w3.org/2000/svg"');
  expect(drawn).toEndWith("</svg>\n");
  expect(drawn).not.toContain("NaN");
});
