import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readFileSync, statSync } from "node:fs";
import { BufferSource, Input, WEBM } from "mediabunny";
import type { PacketWriter } from "../../src/media/packet.ts";
import { frameTimeUs } from "../../src/media/video.ts";
import { openPacketWriter } from "../../src/media/writer.ts";
import { readIvf } from "./read-ivf.ts";
import { readWebm } from "./read-webm.ts";
import {
  bash,
  CLIP_FRAMES,
  CLIP_VIDEO,
  decodedMd5,
  outcome,
  packetTimes,
  run,
  tempFolder,
  vpxencClip,
} from "./rig.ts";

setDefaultTimeout(60_000);

const COPY = `${import.meta.dir}/copy-packets.ts`;
const folder = tempFolder();
const ivf = folder.file("clip.ivf");

beforeAll(() => vpxencClip(ivf));
afterAll(() => folder[Symbol.dispose]());

async function writeClip(
  writer: PacketWriter,
  { rounds = 1, secondsApart = 1 / 12, keys = true } = {},
): Promise<void> {
  const { packets } = readIvf(readFileSync(ivf));
  for (let i = 0; i < rounds * packets.length; i++) {
    const { data } = packets[i % packets.length]!;
    const type = i === 0 || (keys && i % packets.length === 0) ? "key" : "delta";
    const timestampUs = Math.floor(i * secondsApart * 1e6);
    await writer.write({ data, type, timestampUs, durationUs: Math.floor(secondsApart * 1e6) });
  }
}

function probe(file: string, entries: string): string {
  return run(
    ..."ffprobe -v error -count_frames -of default=nw=1".split(" "),
    "-show_entries",
    entries,
    file,
  ).toString();
}

test("a WebM decodes to the same pictures as the IVF with its packets, in vpxdec and ffmpeg", async () => {
  const file = folder.file("same.webm");
  await using writer = await openPacketWriter(file, CLIP_VIDEO);
  await writeClip(writer);
  await writer.close();
  expect(decodedMd5(file)).toBe(decodedMd5(ivf));
  const md5 = (from: string) =>
    run(..."ffmpeg -v error -i".split(" "), from, ..."-fps_mode passthrough -f md5 -".split(" ")).toString();
  expect(md5(file)).toBe(md5(ivf));
});

test("a WebM says its codec, size, frames, times and duration", async () => {
  const file = folder.file("says.WebM");
  await using writer = await openPacketWriter(file, CLIP_VIDEO);
  await writeClip(writer);
  await writer.close();
  expect(packetTimes(file)).toEqual(
    Array.from({ length: CLIP_FRAMES }, (_, i) => Math.round(frameTimeUs(i, CLIP_VIDEO.fps) / 1000) / 1000),
  );
  const facts = probe(file, "stream=codec_name,width,height,avg_frame_rate,nb_read_frames:format=duration");
  for (const fact of [
    "codec_name=vp9",
    "width=320",
    "height=192",
    "avg_frame_rate=12/1",
    "nb_read_frames=9",
    "duration=0.750000",
  ])
    expect(facts).toContain(`${fact}\n`);
  expect(writer.bytes).toBe(statSync(file).size);
});

test("a WebM of an odd size keeps it", async () => {
  const odd = folder.file("odd.ivf");
  const raw = folder.file("odd.yuv");
  run(
    ..."ffmpeg -v error -f lavfi -i testsrc=size=353x289:rate=25 -frames:v 3 -pix_fmt yuv420p".split(" "),
    raw,
  );
  run(..."vpxenc --rt --ivf --i420 -w 353 -h 289 -o".split(" "), odd, raw);
  const file = folder.file("odd.webm");
  expect(outcome([process.execPath, COPY, odd, file])).toMatchObject({ exitCode: 0, stderr: "" });
  expect(decodedMd5(file)).toBe(decodedMd5(odd));
  expect(probe(file, "stream=width,height")).toBe("width=353\nheight=289\n");
});

test.each([
  [{ num: 16, den: 9 }, 569],
  [{ num: 10, den: 11 }, 291],
  [{ num: 1, den: 2 }, 160],
  [{ num: 354_311, den: 360_000 }, 315],
])("pixels of %j are shown as vpxenc's WebM shows them", async (pixelAspect, width) => {
  const file = folder.file("aspect.webm");
  await using writer = await openPacketWriter(file, { ...CLIP_VIDEO, pixelAspect });
  await writeClip(writer);
  await writer.close();
  const { numbers, packets } = readWebm(readFileSync(file));
  // The unit is pixels, which vpxenc leaves unsaid.
  expect(numbers).toMatchObject({ DisplayWidth: [width], DisplayHeight: [192], DisplayUnit: [0] });
  expect(packets.map(({ data }) => data)).toEqual(readIvf(readFileSync(ivf)).packets.map(({ data }) => data));
  const raw = folder.file("aspect.y4m");
  const { num, den } = pixelAspect;
  const size = `-f lavfi -i color=size=320x192:rate=25,setsar=${num}/${den}:max=1000000`;
  run(..."ffmpeg -v error -y".split(" "), ...size.split(" "), ..."-frames:v 1".split(" "), raw);
  const theirs = folder.file("theirs.webm");
  run(..."vpxenc --rt --quiet -o".split(" "), theirs, raw);
  expect(readWebm(readFileSync(theirs)).numbers).toMatchObject({
    DisplayWidth: [width],
    DisplayHeight: [192],
  });
  expect(packetTimes(file)).toHaveLength(CLIP_FRAMES);
});

test("square pixels, and a range and color space of which nothing is known, are left unsaid, as vpxenc leaves them", async () => {
  const file = folder.file("plain.webm");
  await using writer = await openPacketWriter(file, CLIP_VIDEO);
  await writeClip(writer);
  await writer.close();
  const { numbers } = readWebm(readFileSync(file));
  for (const name of ["DisplayWidth", "DisplayHeight", "DisplayUnit", "Range", "MatrixCoefficients"])
    expect(numbers[name]).toBeUndefined();
});

/** Codes of RFC 9559, 5.1.4.1.28.17 and later: matrix, transfer, primaries, range; 2 and 0 are unspecified. */
test.each([
  [{ fullRange: true }, [2, 2, 2, 2]],
  [{ fullRange: false }, [2, 2, 2, 1]],
  [{ colorSpace: "bt601" }, [5, 6, 2, 0]],
  [{ colorSpace: "bt709", fullRange: false }, [1, 1, 1, 1]],
  [{ colorSpace: "smpte170", fullRange: true }, [6, 6, 6, 2]],
  [{ colorSpace: "smpte240" }, [7, 7, 7, 0]],
  [{ colorSpace: "bt2020", fullRange: false }, [9, 2, 9, 1]],
  [{ colorSpace: "unknown" }, undefined],
  [{ colorSpace: "unknown", fullRange: true }, [2, 2, 2, 2]],
] as const)(
  "of %j the header says what is known, and the packets stay as they were",
  async (color, codes) => {
    const file = folder.file("color.webm");
    const pixelAspect = { num: 10, den: 11 };
    await using writer = await openPacketWriter(file, { ...CLIP_VIDEO, ...color, pixelAspect });
    await writeClip(writer, { rounds: 2 });
    await writer.close();
    const { numbers, packets } = readWebm(readFileSync(file));
    const elements = ["MatrixCoefficients", "TransferCharacteristics", "Primaries", "Range"];
    expect(elements.map((name) => numbers[name]?.join())).toEqual(
      elements.map((_, index) => codes?.[index]?.toString()),
    );
    expect(numbers).toMatchObject({ DisplayWidth: [291], DisplayHeight: [192] });
    const written = readIvf(readFileSync(ivf)).packets.map(({ data }) => data);
    expect(packets.map(({ data }) => data)).toEqual([...written, ...written]);
    expect(packetTimes(file)).toHaveLength(2 * CLIP_FRAMES);
  },
);

test("ffprobe finds the aspect, range and color space in the header", async () => {
  const file = folder.file("probed.webm");
  const look = { pixelAspect: { num: 4, den: 3 }, fullRange: true, colorSpace: "bt709" } as const;
  await using writer = await openPacketWriter(file, { ...CLIP_VIDEO, ...look });
  await writeClip(writer);
  await writer.close();
  const names = ["sample_aspect_ratio", "display_aspect_ratio", "color_range", "color_space"];
  const entries = `stream=${[...names, "color_transfer", "color_primaries"].join()}`;
  // Otherwise ffprobe decodes a frame, and reports what the VP9 says.
  const asInHeader = "ffprobe -v error -nofind_stream_info -of default=nw=1 -show_entries".split(" ");
  expect(
    run(...asInHeader, entries, file)
      .toString()
      .trim()
      .split("\n"),
  ).toEqual([
    "sample_aspect_ratio=427:320",
    "display_aspect_ratio=427:192",
    "color_range=pc",
    "color_space=bt709",
    "color_transfer=bt709",
    "color_primaries=bt709",
  ]);
});

test("every key frame has its place in the index, however close they are", async () => {
  const file = folder.file("close.webm");
  await using writer = await openPacketWriter(file, CLIP_VIDEO);
  await writeClip(writer, { rounds: 5, secondsApart: 0.01 });
  await writer.close();
  const { numbers, packets, clusters } = readWebm(readFileSync(file));
  expect(numbers.CueTime).toEqual([0, 90, 180, 270, 360]);
  expect(numbers.CueClusterPosition).toEqual(clusters);
  expect(packets.flatMap(({ key }, index) => (key ? [index] : []))).toEqual([0, 9, 18, 27, 36]);
  expect(decodedMd5(file, "--limit=9")).toBe(decodedMd5(ivf));
});

test("a long WebM goes over several clusters, all of it decodable and seekable", async () => {
  const file = folder.file("long.webm");
  await using writer = await openPacketWriter(file, CLIP_VIDEO);
  await writeClip(writer, { rounds: 6, secondsApart: 2 });
  await writer.close();
  expect(packetTimes(file)).toEqual(Array.from({ length: 6 * CLIP_FRAMES }, (_, i) => 2 * i));
  expect(probe(file, "stream=nb_read_frames:format=duration")).toBe(
    `nb_read_frames=${6 * CLIP_FRAMES}\nduration=108.000000\n`,
  );
  run(..."ffmpeg -v error -xerror -ss 100 -i".split(" "), file, ..."-f null -".split(" "));
});

test("a WebM with one key frame in a minute is as decodable", async () => {
  const file = folder.file("one-key.webm");
  await using writer = await openPacketWriter(file, CLIP_VIDEO);
  await writeClip(writer, { rounds: 4, secondsApart: 2, keys: false });
  await writer.close();
  expect(packetTimes(file).length).toBe(4 * CLIP_FRAMES);
  expect(decodedMd5(file, "--limit=9")).toBe(decodedMd5(ivf));
});

test("a WebM is on the disk packet by packet, and can be played before it is closed, as after a crash", async () => {
  const file = folder.file("open.webm");
  await using writer = await openPacketWriter(file, CLIP_VIDEO);
  const before = writer.bytes;
  await writeClip(writer, { rounds: 6, secondsApart: 2, keys: false });
  expect(writer.bytes).toBeGreaterThan(before + 6 * 37_000);
  expect(statSync(file).size).toBe(writer.bytes);
  const copy = folder.file("crashed.webm");
  cpSync(file, copy);
  expect(packetTimes(copy).length).toBe(6 * CLIP_FRAMES);
  expect(decodedMd5(copy, "--limit=9")).toBe(decodedMd5(ivf));
});

test("a WebM into a FIFO is a live one: no duration, every frame", async () => {
  const [fifo, file] = [folder.file("fifo.webm"), folder.file("live.webm")];
  expect(
    bash(`mkfifo "$3"; cat "$3" > "$4" & bun "$1" "$2" "$3" 3 && wait $!`, COPY, ivf, fifo, file),
  ).toMatchObject({ exitCode: 0, stderr: "" });
  expect(packetTimes(file).length).toBe(3 * CLIP_FRAMES);
  expect(probe(file, "format=duration")).toBe("duration=N/A\n");
  expect(decodedMd5(file, "--limit=9")).toBe(decodedMd5(ivf));
});

test("a WebM without packets has its track and nothing in it, and closing again is harmless", async () => {
  const file = folder.file("empty.webm");
  const writer = await openPacketWriter(file, CLIP_VIDEO);
  await writer.close();
  await writer.close();
  const bytes = readFileSync(file);
  expect(writer.bytes).toBe(bytes.length);
  using input = new Input({ source: new BufferSource(bytes), formats: [WEBM] });
  const track = await input.getPrimaryVideoTrack();
  expect(track).toMatchObject({ codec: "vp9", codedWidth: 320, codedHeight: 192 });
  expect(await input.computeDuration()).toBe(0);
});

test("the WebM library is not loaded for IVF, only for WebM", () => {
  const program = folder.file("away/test/media/copy-packets.ts");
  for (const floor of ["media", "pixels"])
    cpSync(`${import.meta.dir}/../../src/${floor}`, folder.file(`away/src/${floor}`), { recursive: true });
  cpSync(COPY, program);
  cpSync(`${import.meta.dir}/read-ivf.ts`, folder.file("away/test/media/read-ivf.ts"));
  const write = (name: string) =>
    outcome([process.execPath, "--no-install", program, ivf, folder.file(name)], {
      cwd: folder.file("away"),
    });
  expect(write("away.ivf")).toMatchObject({ exitCode: 0, stderr: "" });
  expect(write("away.webm").stderr).toContain("mediabunny");
});
