/** How bench.ts compares, shows and documents; the times themselves are for bench.ts, not for a test. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { allocationCase } from "../../scripts/bench/allocation.ts";
import {
  type BenchCase,
  type BenchReport,
  type Figures,
  isOver,
  type Metric,
} from "../../scripts/bench/case.ts";
import { drawRatios } from "../../scripts/bench/chart.ts";
import { checkOut } from "../../scripts/bench/checkout.ts";
import { compare } from "../../scripts/bench/compare.ts";
import { measureGrowth } from "../../scripts/bench/growth.ts";
import { drawGrowth } from "../../scripts/bench/growth-chart.ts";
import { growthPlan } from "../../scripts/bench/growth-plan.ts";
import { nullCase } from "../../scripts/bench/null.ts";
import { spread } from "../../scripts/bench/spread.ts";
import { tableOf } from "../../scripts/bench/table.ts";
import { twinCases } from "../../scripts/bench/twins.ts";
import { performancePage } from "../../scripts/docs/performance.ts";
import { reasons } from "../../scripts/docs/performance-reasons.ts";
import { failure, tempFolder } from "../media/rig.ts";
import { ROOT, startScript } from "../scripts/rig.ts";

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

const metric = (name: string, bounds: Metric["bounds"], atMost: number): Metric => ({
  name,
  unit: "ms",
  bounds,
  atMost,
  limit: "a fake",
});

/** Ours takes 2, 4, 6, 8 and so on; theirs always a third of it; another commit's twice as much. */
function fake(metrics: readonly Metric[], order: string[] = []): BenchCase {
  let runs = 0;
  const figures = (name: string, factor: number): Figures => {
    order.push(name);
    if (order.length % 3 === 1) runs++;
    return Object.fromEntries(metrics.map((one) => [one.name, runs * factor]));
  };
  return {
    name: "fake",
    about: "a fake",
    theirs: "its third",
    metrics,
    prepare: async () => ({
      ours: async (root) => (root === "here" ? figures("ours", 6) : figures("before", 12)),
      theirs: async () => figures("theirs", 2),
    }),
  };
}

/** Runs both sides of a case once, and the comparison's own check. */
async function runOnce({ prepare, metrics }: BenchCase): Promise<void> {
  const { ours, theirs, check } = await prepare(folder.file(""));
  for (const figures of [await ours(ROOT), await theirs()])
    for (const { name } of metrics) expect([name, figures[name]! > 0]).toEqual([name, true]);
  await check?.();
}

test("the sides run in turn, one round does not count, and bounds are for what they say", async () => {
  const order: string[] = [];
  const metrics = [
    metric("ratio within", "ratio", 3),
    metric("ratio over", "ratio", 2.9),
    metric("difference within", "difference", 12),
    metric("difference over", "difference", 11.9),
    metric("value within", "value", 18),
    metric("value over", "value", 17.9),
  ];
  const result = await compare(fake(metrics, order), 3, { here: "here", before: "before" });
  expect(order.map((name) => name[0]).join("")).toBe("otb" + "tbo" + "bot" + "otb");
  const [first] = result.metrics;
  // Rounds 2 to 4 count.
  expect(first!.ours).toEqual({ least: 12, lower: 15, median: 18, upper: 21, most: 24 });
  expect([first!.ratio.median, first!.change!.median, first!.before!.median]).toEqual([3, 0.5, 36]);
  for (const one of result.metrics)
    expect([one.name, !isOver(one)]).toEqual([one.name, one.name.endsWith("within")]);
});

test("a figure that no run gives, and sides that differ, are errors", async () => {
  const named = await failure(() =>
    compare({ ...fake([]), metrics: [metric("x", "ratio", 1)] }, 1, { here: "here" }),
  );
  expect(named.message).toBe('"x" was not measured');
  const differing: BenchCase = {
    ...fake([]),
    prepare: async () => ({
      ours: async () => ({}),
      theirs: async () => ({}),
      check: () => Promise.reject(new Error("they differ")),
    }),
  };
  expect((await failure(() => compare(differing, 1, { here: "here" }))).message).toBe("they differ");
});

test("quartiles of an even number of rounds lie between two of them", () => {
  expect(spread([4, 1, 3, 2])).toEqual({ least: 1, lower: 1.75, median: 2.5, upper: 3.25, most: 4 });
});

test("a figure without a bound is shown everywhere, and judged nowhere", async () => {
  const metrics: Metric[] = [metric("quick", "ratio", 3), { name: "only shown", unit: "ms", bounds: "none" }];
  const result = await compare(fake(metrics), 3, { here: "here", before: "before" });
  expect(result.metrics.map(isOver)).toEqual([false, false]);
  expect(result.metrics[1]).toMatchObject({ bounds: "none", ratio: { median: 3 } });
  expect(tableOf(result).split("\n")[3]).toMatch(
    /^ {2}only shown, ms +18\.0 .* 3\.00 \(3\.00 to 3\.00\) {2,}36\.0 /,
  );
  expect(drawRatios([result])).toContain(">3.00x: 18.0 ms<");
  const machine = { processor: "a processor", processors: 2, kernel: "6", bun: "1" };
  const page = performancePage({ machine, commit: "abc", cases: [result] }, "a test");
  expect(page).toContain("| only shown | 18.0 ms | 6.00 ms | 3.00 (3.00 to 3.00) |  |  |  |");
  expect(page).toContain("1 of 1\nare within their bounds");
});

test("the table and the chart show what is over its bound", async () => {
  const metrics = [metric("quick", "ratio", 3), metric("slow", "ratio", 1)];
  const result = await compare(fake(metrics), 3, { here: "here" });
  const lines = tableOf(result).split("\n");
  expect(lines[2]).toMatch(/^ {2}quick, ms +.* 3\.00x +within$/);
  expect(lines[3]).toMatch(/^ {2}slow, ms +.* 1\.00x +OVER$/);
  const drawn = drawRatios([result]);
  expect(drawn.match(/<circle/g)).toHaveLength(2);
  expect(drawn.match(/<text /g)?.length).toBe(drawn.match(/<\/text>/g)?.length);
  expect(drawn).not.toContain("NaN");
});

test.each(twinCases.map((one) => [one.name, one] as const))(
  "the C program and ours measure all of %s",
  async (_, bench) => runOnce(bench),
  60_000,
);

test(
  "with the null codec the C program and encode.ts compute the same sums",
  () => runOnce(nullCase(1)),
  60_000,
);

test(
  "what a frame allocates is measured beside the least that it can",
  () => runOnce(allocationCase(220)),
  60_000,
);

test("growth measures every row, compares it with the first, and shows it in a chart and on the page", async () => {
  // Frames beyond a few change no more than the times.
  const plan = growthPlan.map((series) => ({
    ...series,
    rows: series.rows.slice(0, 2).map((row) => ({ ...row, frames: 4 * row.devices })),
  }));
  const result = await measureGrowth(1, plan);
  expect(result.series.map(({ points }) => points[0]!.ratio.median)).toEqual(plan.map(() => 1));
  expect(result.metrics.map(({ name }) => name)).toEqual(
    plan.flatMap(({ name, rows }) => rows.slice(1).map(({ label }) => `${label}, ${name}`)),
  );
  for (const { name, ours } of result.metrics) expect([name, ours.median > 0]).toEqual([name, true]);
  const drawn = drawGrowth(result);
  expect(drawn.match(/<circle/g)).toHaveLength(plan.flatMap(({ rows }) => rows).length);
  expect(drawn).not.toContain("NaN");
  const machine = { processor: "a processor", processors: 2, kernel: "6", bun: "1" };
  expect(performancePage({ machine, commit: "abc", cases: [result] }, "a test")).toContain("(growth.svg)");
}, 60_000);

test("another commit is checked out beside this one, and removed again", () => {
  let root: string;
  {
    using before = checkOut("HEAD");
    root = before.root;
    expect(existsSync(join(root, "node_modules/bun"))).toBe(true);
  }
  expect(existsSync(root)).toBe(false);
  expect(() => checkOut("no-such-commit")).toThrow("invalid reference: no-such-commit");
}, 60_000);

test("bench.ts refuses a case that there is not", async () => {
  const { exitCode, stderr } = await startScript("bench.ts", "encode", "nonsense").ended();
  expect({ exitCode, stderr }).toEqual({
    exitCode: 2,
    stderr: expect.stringContaining('no case "nonsense"'),
  });
});

test("docs/performance.md is what docs/performance.json says; bun run docs.ts writes it", () => {
  const report = JSON.parse(readFileSync(join(ROOT, "docs/performance.json"), "utf8")) as BenchReport;
  const page = readFileSync(join(ROOT, "docs/performance.md"), "utf8");
  expect(page).toBe(performancePage(report, "bun run docs.ts"));
  expect(report.cases.length).toBeGreaterThan(10);
});

test("the page's reasons are of cases that there are, and each case over its bound has one", () => {
  const { cases } = JSON.parse(readFileSync(join(ROOT, "docs/performance.json"), "utf8")) as BenchReport;
  const names = cases.map(({ name }) => name);
  expect(Object.keys(reasons).filter((name) => !names.includes(name))).toEqual([]);
  const over = cases.filter(({ metrics }) => metrics.some(isOver)).map(({ name }) => name);
  expect(over.filter((name) => !(name in reasons))).toEqual([]);
});
