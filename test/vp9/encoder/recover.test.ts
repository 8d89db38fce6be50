/** Devices that fail and come back by a reset: the encoding goes on, with each frame once and in order. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type EncodedChunk, openDevice, openEncoder } from "../../../src/index.ts";
import { config, frames } from "./rig.ts";

setDefaultTimeout(30_000);

interface Run {
  readonly chunks: readonly EncodedChunk[];
  readonly recoveries: readonly string[];
  readonly error: unknown;
}

async function encode(
  given: typeof frames,
  { faults = "", recover = 0, path = "dma" as "dma" | "window", inFlight = 4 } = {},
): Promise<Run> {
  using device = openDevice(`model:vp9?codec=libvpx&fault=${faults}`);
  const chunks: EncodedChunk[] = [];
  using encoder = openEncoder({
    device,
    path,
    inFlight,
    recover,
    timeoutMs: 500,
    output: (chunk) => void chunks.push(chunk),
    error: () => {},
  });
  let error: unknown;
  try {
    await encoder.configure(config);
    for (const frame of given) await encoder.encode(frame);
    await encoder.flush();
  } catch (thrown) {
    error = thrown;
  }
  return { chunks, recoveries: encoder.statistics.recoveries, error };
}

/** The chunks of streams that start at these frames, one after the other. */
async function begunAt(...starts: readonly number[]): Promise<EncodedChunk[]> {
  const runs = starts.map((start, i) => encode(frames.slice(start, starts[i + 1])));
  return (await Promise.all(runs)).flatMap(({ chunks }) => chunks);
}

describe.each(["dma", "window"] as const)("by %s", (path) => {
  test.each([
    ["wedge@5", /waited 500 ms for a completion of slot 0/],
    ["corrupt@5", /names tag 0x[\da-f]+, which is not in flight/],
    ["ones@5", /STATUS reads as all ones/],
  ])("after %s the device is reset, and the 5th frame is the first of a new stream", async (faults, why) => {
    for (const inFlight of [1, 2, 4, 16]) {
      const { chunks, recoveries, error } = await encode(frames, { faults, recover: 1, path, inFlight });
      expect(error).toBeUndefined();
      expect(recoveries).toEqual([expect.stringMatching(inFlight === 4 ? why : /./)]);
      expect(chunks).toEqual(await begunAt(0, 4));
    }
  });
});

test("several failures need as many recoveries; one more ends the encoding, as any does without", async () => {
  const faults = "corrupt@3,wedge@6"; // the 3rd frame counts twice
  // One at a time: the model counts frames that it completes before the driver sees the failure.
  const given = { faults, inFlight: 1 };
  const both = await encode(frames, { ...given, recover: 3 });
  expect([both.error, both.recoveries.length]).toEqual([undefined, 2]);
  expect(both.chunks).toEqual(await begunAt(0, 2, 4));
  const one = await encode(frames, { ...given, recover: 1 });
  expect(String(one.error)).toContain("waited 500 ms");
  expect(one.chunks).toEqual((await begunAt(0, 2)).slice(0, 4));
  const none = await encode(frames, given);
  expect(String(none.error)).toContain("which is not in flight");
  expect([none.recoveries, none.chunks.length]).toEqual([[], 2]);
});

test("a device that does not come back by a reset is reported", async () => {
  const { error, chunks } = await encode(frames, { faults: "die@5", recover: 3 });
  expect(String(error)).toContain("the server disconnected");
  expect(chunks).toEqual((await begunAt(0)).slice(0, 4));
});
