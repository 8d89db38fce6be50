/** video-encoder-config.https.any.js. */
import { expect } from "bun:test";
import { Encoder } from "../../../../src/index.ts";
import { failure } from "../../../media/rig.ts";
import { record } from "../rig.ts";
import { asConfig, quiet, type Row, VP9 } from "./row.ts";

const file = "video-encoder-config.https.any.js";
const size = { width: 640, height: 480 };

const invalidConfigs: readonly (readonly [comment: string, config: object])[] = [
  ["Missing codec", size],
  ["Empty codec", { codec: "", ...size }],
  ["Width is 0", { codec: VP9, ...size, width: 0 }],
  ["Height is 0", { codec: VP9, ...size, height: 0 }],
  ["displayWidth is 0", { codec: VP9, ...size, displayWidth: 0 }],
  ["displayHeight is 0", { codec: VP9, ...size, displayHeight: 0 }],
];

const unsupportedConfigs: readonly (readonly [comment: string, config: object])[] = [
  ["Invalid scalability mode", { codec: VP9, ...size, scalabilityMode: "ABC" }],
  ["Unrecognized codec", { codec: "bogus", ...size }],
  ["Codec with bad casing", { codec: "vP09.00.10.08", ...size }],
  ["Width is too large", { codec: VP9, ...size, width: 1_000_000 }],
  ["Height is too large", { codec: VP9, ...size, height: 1_000_000 }],
  [
    "Too strenuous accelerated encoding parameters",
    {
      codec: VP9,
      hardwareAcceleration: "prefer-hardware",
      width: 20_000,
      height: 20_000,
      bitrate: 1000,
      framerate: 240,
    },
  ],
  [
    "Odd sized frames for H264",
    { codec: "avc1.42001E", width: 641, height: 480, bitrate: 1_000_000, framerate: 24 },
  ],
  ["Possible future H264 codec string", { codec: "avc1.FF000b", ...size }],
  ["Possible future HEVC codec string", { codec: "hvc1.C99.6FFFFFF.L93", ...size }],
  ["Possible future VP9 codec string", { codec: "vp09.99.99.08", ...size }],
  ["Possible future AV1 codec string", { codec: "av01.9.99M.08", ...size }],
];

const isConfigSupported = (config: object) => Encoder.isConfigSupported(asConfig(config));

const invalid = invalidConfigs.flatMap(([comment, config]): Row[] => {
  const names = {
    asked: `Test that VideoEncoder.isConfigSupported() rejects invalid config: ${comment}`,
    configured: `Test that VideoEncoder.configure() rejects invalid config: ${comment}`,
  };
  if (comment === "Missing codec") {
    const why = "codec may be left out: there is one";
    const ask = async () => expect((await isConfigSupported(config)).supported).toBe(true);
    const configure = async () => {
      using encoder = quiet();
      await encoder.configure(asConfig(config));
    };
    return [
      { file, test: names.asked, outcome: "differs", why, run: ask },
      { file, test: names.configured, outcome: "differs", why, run: configure },
    ];
  }
  return [
    {
      file,
      test: names.asked,
      outcome: "passes",
      run: async () => expect(await failure(() => isConfigSupported(config))).toBeInstanceOf(TypeError),
    },
    {
      file,
      test: names.configured,
      outcome: "passes",
      async run() {
        using encoder = quiet();
        expect(await failure(() => encoder.configure(asConfig(config)))).toBeInstanceOf(TypeError);
      },
    },
  ];
});

const unsupported = unsupportedConfigs.flatMap(([comment, config]): Row[] => [
  {
    file,
    test: `Test that VideoEncoder.isConfigSupported() doesn't support config: ${comment}`,
    outcome: "passes",
    run: async () =>
      expect(await isConfigSupported(config)).toEqual({ supported: false, config: asConfig(config) }),
  },
  {
    file,
    test: `Test that VideoEncoder.configure() doesn't support config: ${comment}`,
    outcome: "differs",
    why: "`configure` rejects and says why, `error` is not called, and another config may be tried",
    async run() {
      using recorded = record();
      const { encoder, errors } = recorded;
      const error = await failure(() => encoder.configure(asConfig(config)));
      expect(error.name).toBe(/too large|strenuous/.test(comment) ? "EncoderError" : "NotSupportedError");
      expect((await failure(() => encoder.flush())).name).toBe("InvalidStateError");
      expect([encoder.state, errors]).toEqual(["unconfigured", []]);
      await encoder.configure({ codec: VP9, ...size });
    },
  },
]);

const supports = (config: object) => `VideoEncoder.isConfigSupported() supports:${JSON.stringify(config)}`;

const valid: readonly Row[] = [
  {
    file,
    test: supports({
      codec: "avc1.42001E",
      hardwareAcceleration: "no-preference",
      width: 640,
      height: 480,
      bitrate: 5_000_000,
      framerate: 24,
      avc: { format: "annexb" },
      futureConfigFeature: "foo",
    }),
    outcome: "does not apply",
    why: "H.264",
  },
  {
    file,
    test: supports({
      codec: "vp8",
      hardwareAcceleration: "no-preference",
      width: 800,
      height: 600,
      bitrate: 7_000_000,
      bitrateMode: "variable",
      framerate: 60,
      scalabilityMode: "L1T2",
      futureConfigFeature: "foo",
      latencyMode: "quality",
      avc: { format: "annexb" },
    }),
    outcome: "does not apply",
    why: "VP8 with temporal layers",
  },
  {
    file,
    test: supports({
      codec: "vp09.00.10.08",
      hardwareAcceleration: "no-preference",
      width: 1280,
      height: 720,
      bitrate: 7_000_000,
      bitrateMode: "constant",
      framerate: 25,
      futureConfigFeature: "foo",
      latencyMode: "realtime",
      alpha: "discard",
    }),
    outcome: "differs",
    why: "an unknown key is refused by name, so that a misspelt one is not lost; without it the test passes",
    async run() {
      const config = {
        codec: "vp09.00.10.08",
        hardwareAcceleration: "no-preference",
        width: 1280,
        height: 720,
        bitrate: 7_000_000,
        bitrateMode: "constant",
        framerate: 25,
        latencyMode: "realtime",
        alpha: "discard",
      };
      const error = await failure(() => isConfigSupported({ ...config, futureConfigFeature: "foo" }));
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toContain("unknown key futureConfigFeature;");
      expect(await isConfigSupported(config)).toEqual({ supported: true, config: asConfig(config) });
    },
  },
];

export const rows: readonly Row[] = [...invalid, ...unsupported, ...valid];
