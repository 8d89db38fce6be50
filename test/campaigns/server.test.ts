import { expect, test } from "bun:test";
import { carryOut } from "../../scripts/campaign/carry-out.ts";
import { serverCampaign } from "../../scripts/campaign/server.ts";

test("served models stand 300 sessions of clients that send anything", async () => {
  const { counts, samples, failure } = await carryOut(serverCampaign, { runs: 300, seed: 14 });
  expect(failure).toBeUndefined();
  for (const exercised of [
    "messages",
    "refusals",
    "requests of the server's",
    "pieces of work",
    "frames encoded",
    "sessions with edu",
    "sessions with nvme",
    "sessions that end with half",
    "sessions that end with leave",
    "sessions that end with size",
    "sessions that end with noise",
    "sessions that end with descriptors",
    "sessions that end with the server's hanging up",
  ])
    expect([exercised, counts[exercised]]).toEqual([exercised, expect.any(Number)]);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(0);
  expect(counts.messages).toBeGreaterThan(100_000);
  const descriptors = samples.map(({ figures }) => figures["vp9: descriptors"]);
  expect(new Set(descriptors).size).toBe(1);
}, 200_000);
