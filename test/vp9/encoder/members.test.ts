/** What the library does with members that it does not have, and with WebCodecs' codec. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type EncoderConfig, encodeFrames, openEncoder } from "../../../src/index.ts";
import { failure } from "../../media/rig.ts";
import { config, encodeClip, frames, record, summary } from "./rig.ts";

setDefaultTimeout(60_000);

const reference = await encodeClip();

describe("a member that the library does not have is refused by name:", () => {
  test.each([
    ["latencymode", "realtime"],
    ["futureConfigFeature", "foo"],
    ["cqlevel", 20],
    ["displaywidth", 640],
  ])("%s of the config", async (name, value) => {
    using recorded = record();
    const { encoder, chunks, errors } = recorded;
    const error = await failure(() => encoder.configure({ ...config, [name]: value }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toStartWith(
      `the encoder's config: unknown key ${name}; the keys are codec, width, height,`,
    );
    // Nothing happened: the right config works, and members that are undefined are none.
    await encoder.configure({ ...config, [name]: undefined });
    for (const frame of frames) await encoder.encode(frame);
    await encoder.flush();
    expect([summary(chunks), errors]).toEqual([reference, []]);
  });

  test("of encode's options, and the frame may be encoded then", async () => {
    using recorded = record();
    const { encoder, chunks } = recorded;
    await encoder.configure(config);
    const wrong = { keyframe: true } as { keyFrame?: boolean };
    const error = await failure(() => encoder.encode(frames[0]!, wrong));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe("encode's options: unknown key keyframe; the keys are keyFrame, vp9");
    for (const frame of frames) await encoder.encode(frame);
    await encoder.flush();
    expect(summary(chunks)).toEqual(reference);
  });

  test("of openEncoder's options, before any device is opened", async () => {
    const wrong = { device: "vfio-user:/nowhere", inflight: 8, output: () => {} };
    const open = await failure(() => openEncoder(wrong));
    expect(open).toBeInstanceOf(TypeError);
    expect(open.message).toStartWith(
      "openEncoder's options: unknown key inflight; the keys are device, path, inFlight",
    );
    const stream = await failure(() => encodeFrames({ codec: "libvpx" } as object, config, frames).next());
    expect(stream.message).toContain("unknown key codec; the keys are device");
  });
});

describe("codec, as WebCodecs' callers give it,", () => {
  test.each([
    "vp8",
    "av01.0.04M.08",
    "avc1.42001f",
    "vp09.01.10.08",
    "vp09.02.10.10",
    "vp09.00.99.08",
    "vp09.00.10.08.02",
    "VP9",
  ])("is refused by name where it is not the device's: %s", async (codec) => {
    using recorded = record();
    const error = await failure(() => recorded.encoder.configure({ ...config, codec }));
    expect(error.name).toBe("NotSupportedError");
    expect(error.message).toBe(
      `codec is "${codec}"; the device encodes only VP9, 8-bit 4:2:0: leave codec out`,
    );
  });

  test.each(["vp9", "vp09.00.10.08", "vp09.00.41.08.01.01.01.01.00"])(
    "is taken where it is, and changes nothing: %s",
    async (codec) => {
      using recorded = record();
      await recorded.encoder.configure({ ...config, codec });
      for (const frame of frames) await recorded.encoder.encode(frame);
      await recorded.encoder.flush();
      expect(summary(recorded.chunks)).toEqual(reference);
    },
  );
});

test("WebCodecs' other members are taken, and change nothing where there is nothing to choose", async () => {
  const hints: Partial<EncoderConfig>[] = [
    {
      latencyMode: "quality",
      hardwareAcceleration: "prefer-software",
      alpha: "discard",
      contentHint: "text",
    },
    { latencyMode: "realtime", hardwareAcceleration: "prefer-hardware", scalabilityMode: "L1T1" },
  ];
  for (const more of hints) {
    using recorded = record();
    await recorded.encoder.configure({ ...config, ...more });
    for (const frame of frames) await recorded.encoder.encode(frame);
    await recorded.encoder.flush();
    expect(summary(recorded.chunks)).toEqual(reference);
  }
});

describe("what the device has not is refused with a reason, and another config may be tried:", () => {
  test.each([
    [{ alpha: "keep" }, /^alpha is "keep"; the device encodes no alpha: leave it out$/],
    [
      { scalabilityMode: "L2T1" },
      /^scalabilityMode is "L2T1"; the device has L1T1, L1T2 and L1T3: leave it out$/,
    ],
  ] as const)("%j", async (more, message) => {
    using recorded = record();
    const error = await failure(() => recorded.encoder.configure({ ...config, ...more }));
    expect(error).toBeInstanceOf(DOMException);
    expect(error.name).toBe("NotSupportedError");
    expect(error.message).toMatch(message);
    expect([recorded.encoder.state, recorded.errors]).toEqual(["unconfigured", []]);
    await recorded.encoder.configure(config);
  });
});
