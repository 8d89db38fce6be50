/** VP9's profiles 0 to 3: each of the device's formats against vpxenc with the same libvpx, on both paths. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { type EncodedChunk, type EncodedChunkMetadata, openDevice, openEncoder } from "../../../src/index.ts";
import { rawFormats } from "../../../src/media/raw-format.ts";
import { frameSizeBytes, frameTimeUs } from "../../../src/media/video.ts";
import {
  type PixelFormat,
  pixelFormatNames,
  pixelFormats,
  profileOf,
} from "../../../src/pixels/pixel-format.ts";
import { readIvf } from "../../media/read-ivf.ts";
import { CLIP, failure, run, tempFolder } from "../../media/rig.ts";
import { encode, encodeJson } from "../../scripts/rig.ts";
import { between } from "./between.ts";

setDefaultTimeout(60_000);
const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const device = openDevice("model:vp9?codec=libvpx");
afterAll(() => device[Symbol.dispose]());

const FPS = { num: 12, den: 1 };
const summary = (packets: readonly { pts: number; data: Uint8Array }[]) =>
  packets.map(({ pts, data }) => `${pts}: ${data.length} bytes, ${Bun.hash(data).toString(16)}`);

/** The clip of people in a format and size, by ffmpeg. */
function converted(format: PixelFormat, size: string, ending: "yuv" | "y4m"): string {
  const path = folder.file(`${format}-${size}.${ending}`);
  const source = "-f rawvideo -pix_fmt yuv420p -s 320x192 -r 12 -i".split(" ");
  const container = ending === "y4m" ? ["-f", "yuv4mpegpipe", "-strict", "-1"] : ["-f", "rawvideo"];
  const made = [
    "-vf",
    `scale=${size.replace("x", ":")}`,
    "-pix_fmt",
    rawFormats[format].ffmpeg,
    ...container,
  ];
  run("ffmpeg", "-v", "error", "-y", ...source, CLIP, ...made, path);
  return path;
}

function vpxenc(...input: string[]): string[] {
  const output = folder.file("theirs.ivf");
  const fixed = [
    "--codec=vp9",
    "--rt",
    "--lag-in-frames=0",
    "--ivf",
    "-q",
    "--cpu-used=8",
    "--kf-max-dist=128",
  ];
  run("vpxenc", ...fixed, "--end-usage=cbr", "--target-bitrate=300", ...input, "-o", output);
  return summary(readIvf(readFileSync(output)).packets);
}

/** vpxenc does not choose the profile by itself. */
const profileOptions = (format: PixelFormat) => [
  `--profile=${profileOf(format)}`,
  `--bit-depth=${pixelFormats[format].bits}`,
];

function vpxencRaw(path: string, format: PixelFormat, size: string): string[] {
  const [width, height] = size.split("x");
  const shape = [
    `--${format.replace(/p1[02]$/, "")}`,
    `--width=${width}`,
    `--height=${height}`,
    "--fps=12/1",
  ];
  return vpxenc(...shape, ...profileOptions(format), `--input-bit-depth=${pixelFormats[format].bits}`, path);
}

async function encodeRaw(path: string, format: PixelFormat, size: string, transfer: "dma" | "window") {
  const [width = 0, height = 0] = size.split("x").map(Number);
  const bytes = new Uint8Array(readFileSync(path));
  const frameBytes = frameSizeBytes({ width, height, format });
  expect(bytes.length % frameBytes).toBe(0);
  const chunks: EncodedChunk[] = [];
  const told: EncodedChunkMetadata[] = [];
  const output = (chunk: EncodedChunk, metadata?: EncodedChunkMetadata) => {
    chunks.push(chunk);
    told.push(metadata ?? {});
  };
  using encoder = openEncoder({ device, path: transfer, output });
  const rates = { framerate: FPS, bitrateMode: "constant", bitrate: 300_000, gop: 128 } as const;
  await encoder.configure({ width, height, format, ...rates });
  for (let index = 0; index < bytes.length / frameBytes; index++) {
    const timestamp = frameTimeUs(index, FPS);
    const data = bytes.subarray(index * frameBytes, (index + 1) * frameBytes);
    await encoder.encode({ data, timestamp, duration: frameTimeUs(index + 1, FPS) - timestamp });
  }
  await encoder.flush();
  const packets = summary(chunks.map(({ timestamp, data }) => ({ pts: Math.floor(timestamp / 1000), data })));
  return { packets, codec: told[0]?.decoderConfig?.codec };
}

test.each(pixelFormatNames.flatMap((format) => ["320x192", "35x29"].map((size) => [format, size] as const)))(
  "%s at %s is vpxenc's, byte for byte, on both paths",
  async (format, size) => {
    const path = converted(format, size, "yuv");
    const theirs = vpxencRaw(path, format, size);
    expect(theirs).toHaveLength(9);
    for (const transfer of ["dma", "window"] as const) {
      const { packets, codec } = await encodeRaw(path, format, size, transfer);
      expect({ transfer, packets }).toEqual({ transfer, packets: theirs });
      expect(codec).toStartWith(`vp09.0${profileOf(format)}.`);
    }
  },
);

test.each(["i422", "i444", "i420p10", "i422p10", "i444p12"] as const)(
  "y4m of %s is encoded as vpxenc does, with a note; the WebM is of that profile, and ffmpeg has its samples",
  async (format) => {
    const path = converted(format, "320x192", "y4m");
    const [ivf, webm] = [folder.file("ours.ivf"), folder.file("ours.webm")];
    const rates = ["--rc", "cbr", "--bitrate", "300", "--gop", "128"];
    const report = await encodeJson(path, ...rates, "-o", ivf);
    expect(report.settings).toMatchObject({ format });
    expect(report.notes).toEqual([expect.stringContaining(`VP9 of profile ${profileOf(format)}`)]);
    expect(summary(readIvf(readFileSync(ivf)).packets)).toEqual(vpxenc(...profileOptions(format), path));
    await encodeJson(path, ...rates, "-o", webm);
    const { ffmpeg } = rawFormats[format];
    const probe =
      "ffprobe -v error -of csv=p=0 -count_frames -show_entries stream=profile,pix_fmt,nb_read_frames";
    expect(
      run(...probe.split(" "), webm)
        .toString()
        .trim(),
    ).toBe(`Profile ${profileOf(format)},${ffmpeg},9`);
  },
);

test("lossless 4:4:4 in 12 bits comes back sample for sample", async () => {
  const path = converted("i444p12", "320x192", "yuv");
  const webm = folder.file("lossless.webm");
  const size = ["--size", "320x192", "--fps", "12", "--format", "i444p12"];
  await encodeJson(path, ...size, "--lossless", "1", "-o", webm);
  const decoded = run("ffmpeg", "-v", "error", "-i", webm, "-f", "rawvideo", "-pix_fmt", "yuv444p12le", "-");
  expect(decoded.equals(readFileSync(path))).toBe(true);
});

test("what has no such format says so: a device of interface 1.0, libav.js, and the codec's string", async () => {
  const config = { width: 64, height: 64, format: "i444p10" } as const;
  const old = between(device, (bar) =>
    bar.index === 0 ? { read32: (offset) => (offset === 4 ? 0x1_0000 : bar.read32(offset)) } : {},
  );
  using encoder = openEncoder({ device: old, output: () => {} });
  const error = await failure(() => encoder.configure(config));
  expect(error.message).toContain("it has no i444p10: its interface is 1.0, and CAPS.I444");
  using today = openEncoder({ device, output: () => {} });
  const wrong = await failure(() => today.configure({ ...config, codec: "vp09.00.10.08" }));
  expect(wrong.message).toContain("only VP9, 10-bit 4:4:4: leave codec out");
  await today.configure({ ...config, codec: "vp09.03.10.10" });
  const path = folder.file("grey.yuv");
  writeFileSync(path, Buffer.alloc(frameSizeBytes(config)));
  const size = ["--size", "64x64", "--format", "i444p10", "--codec", "libav.js"];
  const { exitCode, stderr } = await encode(path, ...size, "-o", folder.file("never.ivf"));
  expect(exitCode).toBe(1);
  expect(stderr).toContain("it has no i444p10");
});
