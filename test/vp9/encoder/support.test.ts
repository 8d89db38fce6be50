/** Encoder.isConfigSupported: what it refuses as invalid, what is not supported, and whose limits it takes. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Encoder, type EncoderConfig, openDevice } from "../../../src/index.ts";
import { registers } from "../../../src/vp9/contract/registers.ts";
import { failure } from "../../media/rig.ts";
import { until } from "../../scripts/rig.ts";
import { between } from "./between.ts";
import { children, config, encodeClip, frames, record, summary } from "./rig.ts";

setDefaultTimeout(60_000);

const invalid: readonly (readonly [object, RegExp])[] = [
  [{ codec: "" }, /^codec is ""; give "vp9", or leave it out$/],
  [{ codec: " " }, /^codec is ""; /],
  [{ codec: 9 }, /^codec is 9; it must be a string$/],
  [{ width: undefined }, /^width is undefined; /],
  [{ width: 0 }, /^width is 0; it must be a whole number from 1 to 4294967295$/],
  [{ height: 1.5 }, /^height is 1.5; /],
  [{ displayWidth: 0 }, /^displayWidth is 0; /],
  [{ displayHeight: -1 }, /^displayHeight is -1; /],
  [{ bitrate: -1 }, /^bitrate is -1; it must be a whole number, 0 or more$/],
  [{ framerate: Number.NaN }, /^framerate is NaN; it must be a number$/],
  [
    { bitrateMode: "cbr" },
    /^bitrateMode is "cbr"; it must be one of constant, variable, quantizer, constant-quality$/,
  ],
  [{ latencyMode: "fast" }, /^latencyMode is "fast"; it must be one of quality, realtime$/],
  [{ hardwareAcceleration: "yes" }, /^hardwareAcceleration is "yes"; /],
  [{ alpha: "drop" }, /^alpha is "drop"; it must be one of discard, keep$/],
  [{ widht: 320 }, /^the encoder's config: unknown key widht; /],
];

describe("a config that is none is a TypeError of isConfigSupported and of configure:", () => {
  test.each(invalid)("%j", async (more, message) => {
    const wrong = { ...config, ...more } as EncoderConfig;
    using recorded = record({ device: "model:vp9?codec=null" });
    for (const call of [() => Encoder.isConfigSupported(wrong), () => recorded.encoder.configure(wrong)]) {
      const error = await failure(call);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(message);
    }
    expect([recorded.encoder.state, recorded.errors]).toEqual(["unconfigured", []]);
  });
});

describe("isConfigSupported", () => {
  const small = { width: 320, height: 192 };
  test.each<[EncoderConfig, boolean]>([
    [small, true],
    [{ ...config, codec: "vp09.00.10.08", displayWidth: 640, alpha: "discard", contentHint: "text" }, true],
    [{ ...small, width: 4096, height: 4096, bitrate: 1e9 }, true],
    [{ ...small, width: 4097 }, false],
    [{ ...small, height: 1_000_000 }, false],
    [{ ...small, codec: "vp8" }, false],
    [{ ...small, alpha: "keep" }, false],
    [{ ...small, scalabilityMode: "L1T1" }, true],
    [{ ...small, scalabilityMode: "L1T3" }, true],
    [{ ...small, scalabilityMode: "L2T1" }, false],
    [{ ...small, scalabilityMode: "ABC" }, false],
    [{ ...small, bitrate: 0 }, false],
    [{ ...small, bitrate: 2 ** 40 }, false],
    [{ ...small, bitrateMode: "quantizer", cqLevel: 63 }, true],
    [{ ...small, bitrateMode: "quantizer", cqLevel: 64 }, false],
    [{ ...small, speed: -9 }, true],
    [{ ...small, speed: 10 }, false],
    [{ ...small, framerate: 0 }, false],
    [{ ...small, framerate: { num: 30_000, den: 1001 } }, true],
  ])("says of %j: %p, as configure does, and touches no device", async (asked, supported) => {
    const before = children();
    const answer = await Encoder.isConfigSupported(asked);
    expect(children()).toEqual(before);
    expect(answer).toEqual({ supported, config: asked });
    expect(answer.config).not.toBe(asked);
    using recorded = record({ device: "model:vp9?codec=null" });
    const configured = recorded.encoder.configure(asked).then(
      () => true,
      () => false,
    );
    expect(await configured).toBe(supported);
  });

  test("gives a copy without what is undefined", async () => {
    const framerate = { num: 30, den: 1 };
    const { config: copy } = await Encoder.isConfigSupported({ ...small, framerate, bitrate: undefined });
    expect(copy).toEqual({ ...small, framerate });
    expect(Object.keys(copy)).toEqual(["width", "height", "framerate"]);
    expect(copy.framerate).not.toBe(framerate);
  });

  test("takes the limits of a device that is named, and lets go of it", async () => {
    expect(await Encoder.isConfigSupported(small, { device: "model:vp9?codec=null" })).toMatchObject({
      supported: true,
    });
    await until(() => children().length === 0, "the model to end");
    await expect(Encoder.isConfigSupported(small, { device: "model:vp8" })).rejects.toThrow(
      /^model:vp8: unknown model "vp8"/,
    );
  });

  test("reads CAPS and MAX_SIZE of a device while a stream goes on", async () => {
    using device = openDevice("model:vp9");
    const { CAPS, MAX_SIZE, MAGIC } = registers;
    let magic: number = MAGIC.reset;
    const other = between(device, ({ index, read32 }) => ({
      read32: (offset) => {
        if (index !== 0) return read32(offset);
        if (offset === CAPS.offset)
          return CAPS.reset & ~(1 << CAPS.fields.NV12.bits[0]) & ~(1 << CAPS.fields.CQ.bits[0]);
        if (offset === MAX_SIZE.offset) return (8192 << 16) | 640;
        return offset === MAGIC.offset ? magic : read32(offset);
      },
    }));
    const supported = async (more: Partial<EncoderConfig>) =>
      (await Encoder.isConfigSupported({ ...small, ...more }, { device: other })).supported;
    using recorded = record({ device });
    await recorded.encoder.configure(config);
    for (const [index, frame] of frames.entries()) {
      await recorded.encoder.encode(frame);
      if (index === 4) expect(await supported({})).toBe(true);
    }
    await recorded.encoder.flush();
    expect(summary(recorded.chunks)).toEqual(await encodeClip());
    expect(await supported({ height: 8192 })).toBe(true);
    expect(await supported({ width: 641 })).toBe(false);
    expect(await supported({ format: "nv12" })).toBe(false);
    expect(await supported({ bitrateMode: "quantizer" })).toBe(false);
    magic = 0xffff_ffff;
    await expect(supported({})).rejects.toThrow(
      "model:vp9: this is not the VP9 encoder, or it has gone away",
    );
  });
});
