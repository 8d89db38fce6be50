/** The cases that bench.ts measures in guests measure what they say; the times are for bench.ts. */
import { afterAll, expect, test } from "bun:test";
import { ROOT } from "../../scripts/bench/checkout.ts";
import { testPicture } from "../../scripts/bench/clip.ts";
import { guestCases } from "../../scripts/bench/guests.ts";
import { measurePenalty, penaltyCases } from "../../scripts/bench/penalty.ts";
import { tempFolder } from "../media/rig.ts";

const TIMEOUT_MS = 240_000;

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

test(
  "in one guest the C program and ours measure all of guest-maps",
  async () => {
    const { prepare, metrics } = guestCases.find(({ name }) => name === "guest-maps")!;
    const { ours, theirs, end } = await prepare(folder.file(""));
    try {
      for (const figures of [await ours(ROOT), await theirs()])
        for (const { name } of metrics) expect([name, figures[name]! > 0]).toEqual([name, true]);
    } finally {
      await end!();
    }
  },
  TIMEOUT_MS,
);

test(
  "a penalty bounds both guests, which read the clip from their memory",
  async () => {
    const clip = (folder: string) => testPicture(folder, "320x180", 5);
    const { metrics, frames } = await measurePenalty({ ...penaltyCases[0]!, clip, place: "memory" }, 1);
    expect(frames).toBe(5);
    expect(metrics).toMatchObject(
      ["x86_64", "aarch64"].map((arch) => ({ name: `a frame, ${arch} guest`, bounds: "ratio", atMost: 1.1 })),
    );
  },
  TIMEOUT_MS,
);
