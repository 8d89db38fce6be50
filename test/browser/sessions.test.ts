/** What Chromium's VideoEncoder was asked, asked of ours: the same chunks, apart from their bytes, come out. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { EncoderConfig } from "../../src/index.ts";
import type { Size } from "../../src/pixels/pixel-format.ts";
import { record } from "../vp9/encoder/rig.ts";
import { inChromium } from "./chromium.ts";
import { type Output, picture, type Recording, type Session } from "./session.ts";
import stored from "./sessions.json";

setDefaultTimeout(90_000);

/** Chunks, and how many of them there were at the end of each flush and reset. */
interface Replayed {
  readonly outputs: readonly Output[];
  readonly counts: readonly number[];
}

async function replay({ calls }: Session): Promise<Replayed> {
  using recorded = record();
  const { encoder, chunks, metadata, errors } = recorded;
  const counts: number[] = [];
  let size: Size = { width: 0, height: 0 };
  for (const call of calls) {
    if ("configure" in call) {
      const config = call.configure as unknown as EncoderConfig;
      void encoder.configure(config);
      size = config;
    } else if ("encode" in call) {
      void encoder.encode({ data: picture(call.index, size), ...call.encode }, call.options);
    } else {
      if ("flush" in call) await encoder.flush();
      else encoder.reset();
      counts.push(chunks.length);
    }
  }
  expect(errors).toEqual([]);
  const outputs = chunks.map(({ type, timestamp, duration, data }, index) => ({
    type,
    timestamp,
    duration,
    byteLength: data.byteLength,
    ...metadata[index],
  })) as unknown as Output[];
  return { outputs, counts };
}

const recorded = ({ calls, outputs }: Session): Replayed => ({
  outputs,
  counts: calls.flatMap((call) => ("flush" in call ? [call.flush] : "reset" in call ? [call.reset] : [])),
});

/** Without the colours, which Chromium's frames have and bytes have not, and members of Chromium's own. */
const decoding = (config: Output["decoderConfig"]) => {
  if (config === undefined) return undefined;
  const { codec, codedWidth, codedHeight, displayAspectWidth, displayAspectHeight } = config;
  return { codec, codedWidth, codedHeight, displayAspectWidth, displayAspectHeight };
};

const comparable = ({ outputs, counts }: Replayed) => ({
  counts,
  outputs: outputs.map(({ type, timestamp, duration, decoderConfig, svc }) => ({
    type,
    timestamp,
    duration,
    layer: svc?.temporalLayerId,
    decoderConfig: decoding(decoderConfig),
  })),
});

/** Chunks that are delta chunks in Chromium, whose libvpx predicts from pictures of another size, and key chunks here. */
const keyHere: Readonly<Record<string, readonly number[]>> = { "another size": [5] };

describe.each([
  ["as recorded", async () => stored as unknown as Recording],
  ["now", () => inChromium<Recording>("sessions.ts")],
])("Chromium's sessions %s", (_, load) => {
  const loading = load();
  test.each(stored.sessions.map(({ name }) => name))("%s", async (name) => {
    const session = (await loading).sessions.find((one) => one.name === name)!;
    expect(session.errors).toEqual([]);
    const expected = comparable(recorded(session));
    for (const index of keyHere[name] ?? []) {
      expect(expected.outputs[index]!.type).toBe("delta");
      expected.outputs[index]!.type = "key";
    }
    expect(comparable(await replay(session))).toEqual(expected);
  });
});
