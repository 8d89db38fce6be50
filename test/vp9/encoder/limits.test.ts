import { expect, test } from "bun:test";
import { openEncoder } from "../../../src/exports/vp9.ts";
import { FRAME_MS, MAX_IN_FLIGHT } from "../../../src/vp9/encoder/limits.ts";
import "../../../src/schemes.ts";

const config = { codec: "vp9", width: 64, height: 64 } as const;
const data = new Uint8Array((64 * 64 * 3) / 2);

test("more frames under way than a ring holds are refused", async () => {
  for (const [inFlight, outcome] of [
    [MAX_IN_FLIGHT, "configured"],
    [MAX_IN_FLIGHT + 1, `RangeError: inFlight is 1024; it must be 1 to ${MAX_IN_FLIGHT}`],
  ] as const) {
    using encoder = openEncoder({ device: "model:vp9?codec=null", inFlight, output: () => {} });
    const done = encoder.configure(config).then(() => encoder.state, String);
    expect(await done).toBe(outcome);
  }
});

test("a device that completes nothing fails the encoder, if it is given no time limit, too", async () => {
  const errors: Error[] = [];
  using encoder = openEncoder({
    device: "model:vp9?codec=null&fault=wedge@1",
    recover: 0,
    output: () => {},
    error: (error) => void errors.push(error),
  });
  await encoder.configure(config);
  const startMs = performance.now();
  await expect(encoder.encode({ data, timestamp: 0 }).then(() => encoder.flush())).rejects.toThrow(
    `waited ${FRAME_MS} ms for a completion`,
  );
  expect(performance.now() - startMs).toBeWithin(FRAME_MS - 50, FRAME_MS + 3000);
  expect(errors.length).toBe(1);
}, 20_000);
