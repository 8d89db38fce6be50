/** The files with variants: whole streams, by codec. */
import { expect } from "bun:test";
import { type EncodedChunk, encodeFrames } from "../../../../src/index.ts";
import { frameSizeBytes } from "../../../../src/media/video.ts";
import { openPacketWriter } from "../../../../src/media/writer.ts";
import { run as command, failure, tempFolder } from "../../../media/rig.ts";
import { record } from "../rig.ts";
import { createFrame, MICROSECONDS, quiet, type Row, VP9 } from "./row.ts";

const otherCodecs = "another codec, or VP9 in 10 bits of frames in 8: here frames have the bits of the video";
const base = { codec: VP9, width: 320, height: 200, bitrate: 1_000_000, framerate: 30 } as const;

/** A white picture with `dots` black ones, of 16 at most. */
function dotted(dots: number): Uint8Array {
  const { width, height } = base;
  const data = new Uint8Array(frameSizeBytes(base)).fill(235, 0, width * height).fill(128, width * height);
  for (let dot = 0; dot < dots; dot++)
    for (let y = 0; y < 20; y++) data.fill(16, at(dot) + y * width, at(dot) + y * width + 20);
  return data;
}

/** Where a dot begins: four in a row. */
const at = (dot: number) => (10 + Math.floor(dot / 4) * 48) * base.width + 20 + (dot % 4) * 72;

function dotsIn(picture: Uint8Array): number {
  const middle = (dot: number) => picture[at(dot) + 10 * base.width + 10]!;
  return Array.from({ length: 16 }, (_, dot) => middle(dot)).filter((luma) => luma < 80).length;
}

/** The pictures that vpxdec makes of chunks. */
async function decoded(chunks: readonly EncodedChunk[]): Promise<Uint8Array[]> {
  using folder = tempFolder();
  const file = folder.file("cycle.ivf");
  const video = { ...base, format: "i420", fps: { num: 30, den: 1 }, timebase: MICROSECONDS } as const;
  await using writer = await openPacketWriter(file, video);
  for (const { timestamp, duration, ...chunk } of chunks)
    await writer.write({ ...chunk, timestampUs: timestamp, durationUs: duration });
  await writer.close();
  const pictures = command("vpxdec", "--i420", "-o", "-", file);
  const bytes = frameSizeBytes(base);
  expect(pictures.length).toBe(chunks.length * bytes);
  return chunks.map((_, i) => pictures.subarray(i * bytes, (i + 1) * bytes));
}

async function fullCycle(): Promise<void> {
  const count = 16;
  const frames = Array.from({ length: count }, (_, i) => ({
    data: dotted(i),
    timestamp: i,
    keyFrame: i % 5 === 0,
  }));
  const settings = { ...base, bitrateMode: "constant", timebase: MICROSECONDS } as const;
  const chunks = await Array.fromAsync(encodeFrames({}, settings, frames));
  for (const [index, { timestamp, type }] of chunks.entries()) {
    expect(timestamp).toBe(index);
    if (index % 5 === 0) expect(type).toBe("key");
  }
  expect((await decoded(chunks)).map(dotsIn)).toEqual(frames.map((_, i) => i));
}

export const rows: readonly Row[] = [
  {
    file: "reconfiguring-encoder.https.any.js",
    test: "Reconfiguring encoder",
    variants: ["vp9_p0"],
    outcome: "passes",
    async run() {
      using recorded = record();
      const { encoder, chunks, metadata } = recorded;
      const settings = {
        codec: VP9,
        bitrateMode: "constant",
        framerate: 30,
        timebase: MICROSECONDS,
      } as const;
      const layers = { scalabilityMode: "L1T2" };
      const original = { ...settings, ...layers, width: 800, height: 600, bitrate: 3_000_000 };
      const changed = { ...settings, ...layers, width: 640, height: 480, bitrate: 2_000_000 };
      let next = 0;
      void encoder.configure(original);
      for (let i = 0; i < 16; i++) void encoder.encode(createFrame(800, 600, next++));
      void encoder.configure(changed);
      for (let i = 0; i < 16; i++) void encoder.encode(createFrame(640, 480, next++));
      await encoder.flush();
      void encoder.configure(original);
      await encoder.flush();
      expect(chunks.map(({ timestamp }) => timestamp)).toEqual(Array.from({ length: 32 }, (_, i) => i));
      const sizes = metadata.flatMap(({ decoderConfig: config }, i) =>
        config ? [[i, config.codedWidth, config.codedHeight]] : [],
      );
      expect(sizes).toEqual([
        [0, 800, 600],
        [16, 640, 480],
      ]);
    },
  },
  {
    file: "reconfiguring-encoder.https.any.js",
    test: "Reconfiguring encoder",
    variants: ["av1", "vp8", "vp9_p2", "h264_avc", "h264_annexb"],
    outcome: "does not apply",
    why: otherCodecs,
  },
  {
    file: "full-cycle-test.https.any.js",
    test: "Encoding and decoding cycle",
    variants: ["vp9_p0"],
    outcome: "passes",
    why: "vpxdec decodes",
    run: fullCycle,
  },
  {
    file: "full-cycle-test.https.any.js",
    test: "Encoding and decoding cycle",
    variants: ["av1", "vp8", "vp9_p2", "h264_avc", "h264_annexb", "h265_hevc", "h265_annexb"],
    outcome: "does not apply",
    why: otherCodecs,
  },
  {
    file: "full-cycle-test.https.any.js",
    test: "Encoding and decoding cycle w/ stripped color space",
    variants: ["av1", "vp8", "vp9_p0", "vp9_p2", "h264_avc", "h264_annexb", "h265_hevc", "h265_annexb"],
    outcome: "does not apply",
    why: "the endpoint's interface has no colour, so key frames say that it is unknown",
  },
  {
    file: "temporal-svc-encoding.https.any.js",
    test: "SVC L1T2",
    variants: ["vp9"],
    outcome: "passes",
    async run() {
      using recorded = record();
      const { encoder, chunks, metadata } = recorded;
      await encoder.configure({ ...base, scalabilityMode: "L1T2" });
      for (let i = 0; i < 10; i++) void encoder.encode({ data: dotted(i), timestamp: i * 33_333 });
      await encoder.flush();
      const layers = metadata.map(({ svc }) => svc?.temporalLayerId);
      expect(layers).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
      const pictures = await decoded(chunks.filter((_, index) => layers[index] === 0));
      expect(pictures.map(dotsIn)).toEqual([0, 2, 4, 6, 8]);
    },
  },
  {
    file: "temporal-svc-encoding.https.any.js",
    test: "SVC L1T2",
    variants: ["av1", "vp8", "h264"],
    outcome: "does not apply",
    why: otherCodecs,
  },
  ...["Frame QP encoding, full range", "Frame QP encoding, good range with validation"].flatMap(
    (test): Row[] => [
      {
        file: "per-frame-qp-encoding.https.any.js",
        test,
        variants: ["vp9_p0"],
        outcome: "passes",
        async run() {
          using recorded = record();
          const { encoder, chunks } = recorded;
          const all = test.includes("full");
          const quantizers = Array.from({ length: 16 }, (_, i) =>
            all ? Math.round((63 * i) / 15) : 1 + 2 * i,
          );
          await encoder.configure({ ...base, bitrateMode: "quantizer" });
          for (const [i, quantizer] of quantizers.entries())
            void encoder.encode({ data: dotted(i), timestamp: i * 33_333 }, { vp9: { quantizer } });
          await encoder.flush();
          expect(chunks).toHaveLength(16);
          if (!all) expect((await decoded(chunks)).map(dotsIn)).toEqual(quantizers.map((_, i) => i));
        },
      },
      {
        file: "per-frame-qp-encoding.https.any.js",
        test,
        variants: ["av1", "vp9_p2"],
        outcome: "does not apply",
        why: otherCodecs,
      },
    ],
  ),
  ...["quality", "realtime"].flatMap((mode): Row[] => [
    {
      file: "video-encoder-flexible-input-formats.https.any.js",
      test: `Verify ${mode} video encoder accepts multiple input formats`,
      variants: ["vp9_p0"],
      outcome: "differs",
      why: "a stream's frames are all in one format, I420 or NV12",
      async run() {
        using encoder = quiet();
        await encoder.configure({ codec: VP9, width: 100, height: 120, latencyMode: mode as "quality" });
        const data = new Uint8Array(100 * 120 * 4);
        expect(await failure(() => encoder.encode({ data, timestamp: 0 }))).toBeInstanceOf(RangeError);
      },
    },
    {
      file: "video-encoder-flexible-input-formats.https.any.js",
      test: `Verify ${mode} video encoder accepts multiple input formats`,
      variants: ["av1", "vp8", "h264_avc", "h264_annexb"],
      outcome: "does not apply",
      why: otherCodecs,
    },
  ]),
  ...[
    ["64 x 64", "128 x 128"],
    ["128 x 128", "128 x 128"],
    ["128 x 128", "64 x 64"],
    ["32 x 32", "96 x 96"],
    ["192 x 192", "64 x 64"],
    ["64 x 32", "128 x 64"],
    ["128 x 256", "64 x 128"],
  ].flatMap(([from, to]) =>
    ["RGBX", "I420"].map((format): Row => {
      return {
        file: "video-encoder-rescaling.https.any.js",
        test: `Scaling Image in Encoding from ${from} to ${to} Format: ${format}`,
        variants: ["av1", "vp8", "h264_avc"],
        outcome: "does not apply",
        why: "other codecs; and the device does not scale",
      };
    }),
  ),
  {
    file: "video-encoder-h264.https.any.js",
    test: "Test that encoding with a specific H264 profile actually produces that profile.",
    variants: ["baseline", "main", "high", "high-6.2"],
    outcome: "does not apply",
    why: "H.264",
  },
  {
    file: "video-encoder-av1.https.any.js",
    test: "Test that av1 forceScreenContentTools is recognized by VideoEncoder",
    outcome: "does not apply",
    why: "AV1",
  },
];
