/** A part of the campaign `kills`, without guests, which take as long as ten other runs: test/guest/killing.test.ts has them. */
import { expect, test } from "bun:test";
import { carryOut } from "../../scripts/campaign/carry-out.ts";
import { killsCampaign } from "../../scripts/campaign/kills.ts";

const GUESTS = 0;

test("signals at any moment lose no whole frame, and leave nothing that the next run does not clear", async () => {
  const { failure, counts } = await carryOut(killsCampaign(GUESTS), { runs: 24, seed: 1 });
  expect(failure).toBeUndefined();
  const exercised = Object.keys(counts).sort().join("\n");
  for (const what of [
    ...["sent SIGKILL", "sent SIGTERM", "sent SIGINT", "sent SIGSTOP", "sent SIGCONT"],
    ...["encode.ts, inside: ", "encode.ts, child: ", "encode.ts, socket: "],
    ...["exit code 0", "exit code 130", "killed by SIGKILL"],
    ...["repaired IVF", "whole IVF", "WebM", "next client served"],
    "left, and taken over by the next run: the socket of a killed model.ts",
  ])
    expect(exercised).toContain(what);
}, 180_000);
