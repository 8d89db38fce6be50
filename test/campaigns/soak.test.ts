import { expect, test } from "bun:test";
import { campaign } from "../../scripts/campaign/campaign.ts";
import { carryOut } from "../../scripts/campaign/carry-out.ts";
import { growthOf } from "../../scripts/campaign/soak/flat.ts";
import { soak } from "../../scripts/campaign/soak.ts";

test("what frames and opens leave does not grow, in any kind of process", async () => {
  const { failure, counts, samples } = await carryOut(campaign(soak), { runs: 26, seed: 7173 });
  expect(failure).toBeUndefined();
  expect(Object.keys(counts).sort()).toEqual([
    "frames-libvpx: frames",
    "frames-null: frames",
    "hour-ivf: frames",
    "hour-webm: frames",
    "opens-child: opens",
    "opens-here: opens",
    "opens-server: opens",
  ]);
  expect(samples.at(-1)!.figures["frames-null: descriptors"]).toBeGreaterThan(3);
}, 120_000);

const steps = (count: number, memoryKiB: (i: number) => number, descriptors: (i: number) => number) =>
  Array.from({ length: count }, (_, i) => ({
    processes: 1,
    memoryKiB: memoryKiB(i),
    descriptors: descriptors(i),
  }));

test("growth is told of memory beyond 5 % and 8 MiB, and of a single descriptor", () => {
  expect(
    growthOf(
      steps(
        100,
        () => 100_000,
        () => 12,
      ),
    ),
  ).toBeUndefined();
  expect(
    growthOf(
      steps(
        100,
        (i) => 100_000 + 120 * i,
        () => 12,
      ),
    ),
  ).toBeUndefined();
  expect(
    growthOf(
      steps(
        100,
        (i) => 100_000 + 250 * i,
        () => 12,
      ),
    ),
  ).toMatch(/^memory grew from 102500 to 117500 KiB/);
  // Garbage comes and goes.
  expect(
    growthOf(
      steps(
        100,
        (i) => 100_000 + 3000 * (i % 10),
        () => 12,
      ),
    ),
  ).toBeUndefined();
  // What a process loads at first does not count.
  expect(
    growthOf(
      steps(
        100,
        (i) => (i < 10 ? 50_000 : 100_000),
        () => 12,
      ),
    ),
  ).toBeUndefined();
  expect(
    growthOf(
      steps(
        100,
        () => 100_000,
        (i) => (i < 60 ? 12 : 13),
      ),
    ),
  ).toBe("descriptors grew from 12 to 13, from steps 11 to 40 to steps 71 to 100");
  expect(
    growthOf(
      steps(
        3,
        () => 100_000,
        (i) => i,
      ),
    ),
  ).toBeUndefined();
});

test("what all runs together did wrong is a failure, with the command that repeats it", async () => {
  const grows = {
    ...campaign(soak),
    open: async () => ({
      run: async () => ({ runs: 1 }),
      finish: () => Promise.reject(new Error("it grew")),
      [Symbol.asyncDispose]: async () => {},
    }),
  };
  const { failure, runs } = await carryOut(grows, { runs: 5, seed: 1 });
  expect(runs).toBe(5);
  expect(failure).toEqual({
    case: "all 5 runs together",
    error: "it grew",
    command: "bun run campaign.ts soak --seed 1 --runs 5",
  });
});
