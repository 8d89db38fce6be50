/** A part of the campaign `faults`, always the same one. */
import { expect, test } from "bun:test";
import { carryOut } from "../../scripts/campaign/carry-out.ts";
import { faultsCampaign } from "../../scripts/campaign/faults.ts";

test("faults that the model injects are recovered from, or ended with a prefix of the packets", async () => {
  const { counts, failure } = await carryOut(faultsCampaign, { runs: 60, seed: 14 });
  expect(failure).toBeUndefined();
  for (const outcome of ["recovered", "ended", "went on unharmed"])
    expect([outcome, counts[`in all ${outcome}`]]).toEqual([outcome, expect.any(Number)]);
  expect(counts.recoveries).toBeGreaterThan(10);
}, 300_000);
