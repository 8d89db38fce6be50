import { expect, test } from "bun:test";
import { carryOut } from "../../scripts/campaign/carry-out.ts";
import { clientCampaign } from "../../scripts/campaign/client.ts";

test("the client stands 1,000 sessions with a server that misbehaves: calls return or throw DeviceError, in time", async () => {
  const { counts, samples, failure } = await carryOut(clientCampaign, { runs: 1000, seed: 14 });
  expect(failure).toBeUndefined();
  for (const exercised of [
    "requests",
    "faults",
    "answers to the server's requests",
    "calls: returned",
    "calls: DeviceError",
    "calls: RangeError",
  ])
    expect([exercised, counts[exercised]]).toEqual([exercised, expect.any(Number)]);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(0);
  const [first, ...others] = samples.map(({ figures }) => figures.descriptors);
  expect(new Set(others.map((descriptors) => descriptors! <= first! + 1))).toEqual(new Set([true]));
}, 200_000);
