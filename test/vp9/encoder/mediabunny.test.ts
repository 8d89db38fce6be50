/** mediabunny encodes VP9 with the card's model. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import {
  BufferTarget,
  canEncodeVideo,
  Mp4OutputFormat,
  Output,
  type OutputFormat,
  Quality,
  VideoSample,
  VideoSampleSource,
  WebMOutputFormat,
} from "mediabunny";
import { registerVfiokitEncoder } from "../../../src/exports/mediabunny.ts";
import { failure, packetTimes, run, tempFolder } from "../../media/rig.ts";
import { ROOT, until } from "../../scripts/rig.ts";
import { children, config, encodeClip, frames } from "./rig.ts";

setDefaultTimeout(60_000);

const before = await canEncodeVideo("vp9", { bitrate: 300_000 });
registerVfiokitEncoder();

const size = { codedWidth: 320, codedHeight: 192 };
const samples = (format: "I420" | "NV12" | "RGBA" = "I420", convert = (data: Uint8Array) => data) =>
  frames.map(
    ({ data }, i) => new VideoSample(convert(data), { format, ...size, timestamp: i / 12, duration: 1 / 12 }),
  );

interface Muxed {
  readonly bytes: Uint8Array;
  readonly packets: readonly Uint8Array[];
  /** Seconds. */
  readonly times: readonly { readonly timestamp: number; readonly duration: number }[];
  readonly decoderConfigs: readonly (VideoDecoderConfig | undefined)[];
}

/** The samples in a file in memory, by mediabunny. */
async function mux(format: OutputFormat, from: readonly VideoSample[]): Promise<Muxed> {
  const packets: Uint8Array[] = [];
  const times: { timestamp: number; duration: number }[] = [];
  const decoderConfigs: (VideoDecoderConfig | undefined)[] = [];
  const target = new BufferTarget();
  const output = new Output({ format, target });
  const source = new VideoSampleSource({
    codec: "vp9",
    quality: new Quality({ bitrate: 300_000, bitrateMode: "constant" }),
    onEncodedPacket: ({ data, timestamp, duration }, meta) => {
      packets.push(data.slice());
      times.push({ timestamp, duration });
      decoderConfigs.push(meta?.decoderConfig);
    },
  });
  output.addVideoTrack(source, { frameRate: 12 });
  await output.start();
  try {
    for (const sample of from) await source.add(sample);
    await output.finalize();
  } catch (error) {
    await output.cancel();
    throw error;
  } finally {
    for (const sample of from) sample.close();
  }
  return { bytes: new Uint8Array(target.buffer!), packets, times, decoderConfigs };
}

function decode(file: string): Buffer {
  return run(..."ffmpeg -v error -i".split(" "), file, ..."-f rawvideo -pix_fmt yuv420p -".split(" "));
}

/** Mean difference of two pictures' samples. */
function difference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}

const clip = Buffer.concat(frames.map(({ data }) => data));

describe("VideoSampleSource", () => {
  test.each([
    ["webm", new WebMOutputFormat(), "bt709"],
    ["mp4", new Mp4OutputFormat(), "unknown"], // ffprobe goes by the key frames there, which do not say
  ] as const)("encodes samples into %s that ffmpeg decodes", async (extension, format, colour) => {
    using folder = tempFolder();
    const file = folder.file(`clip.${extension}`);
    const { bytes, decoderConfigs } = await mux(format, samples());
    writeFileSync(file, bytes);
    expect(packetTimes(file)).toEqual(frames.map((_, i) => expect.closeTo(i / 12, 3)));
    const facts = run(
      ..."ffprobe -v error -show_entries stream=codec_name,width,height,color_space -of default=nw=1".split(
        " ",
      ),
      file,
    );
    expect(facts.toString()).toBe(`codec_name=vp9\nwidth=320\nheight=192\ncolor_space=${colour}\n`);
    const pictures = decode(file);
    expect(difference(pictures, clip)).toBeLessThan(3);
    expect(decoderConfigs.map((each) => each?.codedWidth)).toEqual([320, ...Array(8)]);
    await until(() => children().length === 0, "the model to end");
  });

  test("gives the bytes that Encoder gives, with the samples' times", async () => {
    const { packets, times } = await mux(new WebMOutputFormat(), samples());
    expect(times).toEqual(frames.map((_, i) => ({ timestamp: i / 12, duration: 1 / 12 })));
    const hashes = packets.map((data) => Bun.hash(data).toString(16));
    const own = await encodeClip();
    expect(own.map((line) => line.split(", ").at(-1)!)).toEqual(hashes);
    expect(config).toMatchObject({ bitrate: 300_000, bitrateMode: "constant", framerate: 12 });
  });

  test("takes NV12, and a change of format is a new stream", async () => {
    const luma = 320 * 192;
    const interleave = (data: Uint8Array) => {
      const nv12 = data.slice();
      for (let i = 0; i < luma / 4; i++) {
        nv12[luma + 2 * i] = data[luma + i]!;
        nv12[luma + 2 * i + 1] = data[luma + luma / 4 + i]!;
      }
      return nv12;
    };
    const i420 = await mux(new WebMOutputFormat(), samples());
    const nv12 = await mux(new WebMOutputFormat(), samples("NV12", interleave));
    expect(nv12.packets).toEqual(i420.packets);
    using folder = tempFolder();
    const mixed = [...samples().slice(0, 4), ...samples("NV12", interleave).slice(4)];
    const { bytes, packets } = await mux(new WebMOutputFormat(), mixed);
    expect(packets).toHaveLength(9);
    writeFileSync(folder.file("mixed.webm"), bytes);
    expect(difference(decode(folder.file("mixed.webm")), clip)).toBeLessThan(3);
  });

  test("takes sizes that are odd, and samples without a duration", async () => {
    const data = new Uint8Array(33 * 17 + 2 * 17 * 9).fill(90);
    const odd = [0, 1, 2].map(
      (i) => new VideoSample(data, { format: "I420", codedWidth: 33, codedHeight: 17, timestamp: i / 10 }),
    );
    using folder = tempFolder();
    const { bytes } = await mux(new WebMOutputFormat(), odd);
    writeFileSync(folder.file("odd.webm"), bytes);
    expect(decode(folder.file("odd.webm")).length).toBe(3 * data.length);
  });

  test("says which formats it takes", async () => {
    const rgba = samples("RGBA", () => new Uint8Array(320 * 192 * 4));
    expect((await failure(() => mux(new WebMOutputFormat(), rgba))).message).toBe(
      "a sample in RGBA; the encoder takes I420 and NV12",
    );
    await until(() => children().length === 0, "the model to end");
  });
});

describe("mediabunny chooses it", () => {
  const bitrate = 300_000;
  test.each<[Parameters<typeof canEncodeVideo>[0], Parameters<typeof canEncodeVideo>[1], boolean]>([
    ["vp9", { bitrate }, true],
    ["vp9", { quality: new Quality("high") }, true],
    ["vp9", { width: 4096, height: 4096, bitrate, latencyMode: "realtime" }, true],
    ["vp9", { width: 4098, bitrate }, false],
    ["vp9", { quality: new Quality({ quantizer: 30 }) }, true],
    ["vp9", { bitrate, scalabilityMode: "L1T2" }, true],
    ["vp9", { bitrate, scalabilityMode: "L2T1" }, false],
    ["vp9", { bitrate, fullCodecString: "vp09.02.10.10" }, false],
    ["vp8", { bitrate }, false],
    ["av1", { bitrate }, false],
    ["avc", { bitrate }, false],
  ])("for %s with %j: %p", async (codec, options, expected) => {
    expect(await canEncodeVideo(codec, options)).toBe(expected);
  });

  test("only once it is registered", () => {
    expect(before).toBe(false);
  });
});

test("a device that fails, or is not there, is told by mediabunny and by the registration", async () => {
  using folder = tempFolder();
  const program = folder.file("fails.ts");
  symlinkSync(`${ROOT}/node_modules`, folder.file("node_modules"));
  writeFileSync(
    program,
    `import { BufferTarget, Output, VideoSample, VideoSampleSource, WebMOutputFormat } from "mediabunny";
     import { registerVfiokitEncoder } from "${ROOT}/src/exports/mediabunny.ts";
     try { registerVfiokitEncoder({ device: "vfio-user:/nowhere" }); } catch (error) { console.log(error.name); }
     registerVfiokitEncoder({ device: "model:vp9?fault=die@3" });
     const output = new Output({ format: new WebMOutputFormat(), target: new BufferTarget() });
     const source = new VideoSampleSource({ codec: "vp9", bitrate: 100_000 });
     output.addVideoTrack(source);
     await output.start();
     const init = { format: "I420", codedWidth: 64, codedHeight: 64 };
     try {
       for (let i = 0; i < 9; i++)
         await source.add(new VideoSample(new Uint8Array(64 * 96), { ...init, timestamp: i / 10 }));
       await output.finalize();
     } catch (error) { console.log(error.message); await output.cancel(); }`,
  );
  const printed = run(process.execPath, program).toString();
  expect(printed).toMatch(/^DeviceError\nmodel:vp9\?fault=die@3: the server disconnected /);
});
