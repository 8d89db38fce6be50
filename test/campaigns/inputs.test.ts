/** A part of the campaign `inputs`. */
import { expect, test } from "bun:test";
import { carryOut } from "../../scripts/campaign/carry-out.ts";
import { origins } from "../../scripts/campaign/inputs/case.ts";
import { inputsCampaign } from "../../scripts/campaign/inputs.ts";

test("y4m and raw video from and to everywhere end with the right exit code, words and packets", async () => {
  const { failure, counts } = await carryOut(inputsCampaign, { runs: 100, seed: 1 });
  expect(failure).toBeUndefined();
  const exercised = Object.keys(counts).sort().join("\n");
  for (const code of [0, 1, 2, 3, 4]) expect(exercised).toContain(`exit code ${code}`);
  for (const origin of origins) expect(exercised).toContain(`input ${origin}: `);
  for (const destination of [
    "new ivf",
    "new webm",
    "existing ivf",
    "stdout pipe",
    "closed pipe",
    "/dev/full",
  ])
    expect(exercised).toContain(`output ${destination}: `);
  expect(exercised).toContain("an error after some frames, which are kept");
  expect(exercised).toContain("an existing file left alone");
}, 180_000);
