import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CampaignResult } from "../../scripts/campaign/campaign.ts";
import { reliabilityPage } from "../../scripts/docs/reliability.ts";
import { found } from "../../scripts/docs/reliability-found.ts";
import { ROOT } from "./rig.ts";

const MADE_BY = "bun run docs.ts";
const read = (name: string) => readFileSync(join(ROOT, "docs", name), "utf8");

test("docs/reliability.md is what docs/reliability.json says; bun run docs.ts writes it", () => {
  const results = JSON.parse(read("reliability.json")) as CampaignResult[];
  expect(reliabilityPage(results, MADE_BY)).toBe(read("reliability.md"));
});

test("a campaign that was not run, and one that failed, are said to be so", () => {
  const failed: CampaignResult = {
    ...{ name: "soak", about: "", seed: 7, runs: 3, seconds: 4, counts: { opens: 30 } },
    samples: [{ runs: 1, figures: { descriptors: 12 } }],
    failure: { case: "3", error: "it hangs\nat run", command: "bun run campaign.ts soak --seed 7 --path 2" },
  };
  const page = reliabilityPage([failed], MADE_BY);
  expect(page).toContain("**A run failed**: it hangs (`bun run campaign.ts soak --seed 7 --path 2`).");
  expect(page).toContain("| opens | 30 |");
  expect(page).toContain("| descriptors | 12 |");
  expect(page).toContain("It was not run for this page: `bun run campaign.ts soak-guests` runs it.");
});

test("the bugs that were found have a test each", () => {
  for (const { test } of found) expect(existsSync(join(ROOT, "test", test))).toBe(true);
});
