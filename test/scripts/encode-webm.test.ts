/** What a WebM of encode.ts says of itself, read element by element and by ffprobe. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { readIvf } from "../media/read-ivf.ts";
import { readWebm } from "../media/read-webm.ts";
import { run, tempFolder } from "../media/rig.ts";
import { encodeJson, shell } from "./rig.ts";

setDefaultTimeout(60_000);

const FRAMES = 60;
const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

/** A wide, full-range y4m at 12 frames a second, each frame a little lighter. */
const input = folder.file("wide.y4m");
writeFileSync(
  input,
  Buffer.concat(
    [
      Buffer.from("YUV4MPEG2 W64 H48 F12:1 Ip A4:3 C420jpeg XCOLORRANGE=FULL\n"),
      ...Array.from({ length: FRAMES }, (_, i) => [
        Buffer.from("FRAME\n"),
        Buffer.alloc(64 * 48 * 1.5, 60 + i),
      ]),
    ].flat(),
  ),
);
const settings = [input, "--gop", "11", "--force-key", "5,40,41"];
const webm = folder.file("out.webm");
const keys = [0, 5, 16, 27, 38, 40, 41, 52];
const timeMs = (frame: number) => Math.round((frame * 1000) / 12);

function ffprobe(file: string, options: string): string[] {
  const command = `ffprobe -v error -of default=nw=1:nk=1 ${options}`;
  return run(...command.split(" "), file)
    .toString()
    .trim()
    .split("\n");
}

/** Seconds at which the key frames begin. */
function keyTimes(file: string): number[] {
  return run(..."ffprobe -v error -of csv=p=0 -show_entries packet=pts_time,flags".split(" "), file)
    .toString()
    .split("\n")
    .filter((line) => line.includes(",K"))
    .map(Number.parseFloat);
}

/** What the header says: otherwise ffprobe decodes a frame, and reports what the VP9 says. */
const LOOK = "-nofind_stream_info -show_entries stream=sample_aspect_ratio,color_range";

test("a WebM's duration, key frames, index, aspect and range are right, and its packets are the IVF's", async () => {
  const ivf = folder.file("out.ivf");
  await encodeJson(...settings, "-o", webm);
  await encodeJson(...settings, "-o", ivf);
  const { numbers, packets, clusters } = readWebm(readFileSync(webm));

  expect(packets.map(({ data }) => Bun.hash(data))).toEqual(
    readIvf(readFileSync(ivf)).packets.map(({ data }) => Bun.hash(data)),
  );
  expect(packets.map(({ time }) => time)).toEqual(Array.from({ length: FRAMES }, (_, i) => timeMs(i)));
  expect(packets.flatMap(({ key }, index) => (key ? [index] : []))).toEqual(keys);
  expect(numbers.TimestampScale).toEqual([1_000_000]); // nanoseconds
  expect(numbers.Duration!.map(Math.round)).toEqual([timeMs(FRAMES)]);

  // Each key frame, and nothing else, has a Cue; it leads to the cluster that the key frame begins.
  const keyPackets = packets.filter(({ key }) => key);
  expect(numbers.CueTime).toEqual(keyPackets.map(({ time }) => time));
  expect(numbers.CueClusterPosition).toEqual(keyPackets.map(({ cluster }) => cluster));
  expect(new Set(keyPackets.map(({ cluster }) => cluster)).size).toBe(keys.length);
  for (const { cluster, data } of keyPackets) {
    expect(clusters).toContain(cluster);
    expect(packets.find((packet) => packet.cluster === cluster)?.data).toEqual(data);
  }
  expect(numbers).toMatchObject({
    ...{ PixelWidth: [64], PixelHeight: [48], DisplayWidth: [85], DisplayHeight: [48], DisplayUnit: [0] },
    ...{ Range: [2], MatrixCoefficients: [2], TransferCharacteristics: [2], Primaries: [2] },
  });

  expect(ffprobe(webm, "-show_entries format=duration").map(Number)).toEqual([timeMs(FRAMES) / 1000]);
  expect(keyTimes(webm)).toEqual(keys.map((key) => timeMs(key) / 1000));
  expect(ffprobe(webm, LOOK)).toEqual(["85:64", "pc"]);
  // ffmpeg finds a key frame by the index.
  const seek = `ffmpeg -v error -xerror -ss ${timeMs(41) / 1000} -i ${webm} -frames:v 1 -f framecrc -`;
  expect((await shell(seek)).exitCode).toBe(0);
});

test("in a pipe it has the same, but no duration", async () => {
  const live = folder.file("live.webm");
  const line = `bun run encode.ts "$1" --gop 11 --force-key 5,40,41 -o - --container webm --quiet | cat > "$2"`;
  expect(await shell(line, input, live)).toMatchObject({ exitCode: 0, stderr: "" });
  expect(ffprobe(live, "-show_entries format=duration")).toEqual(["N/A"]);
  expect(ffprobe(live, LOOK)).toEqual(["85:64", "pc"]);
  expect(keyTimes(live)).toEqual(keyTimes(webm));
});

test("a color space is in the WebM's header and in its VP9, of an input and of the built-in clip", async () => {
  const file = folder.file("colour.webm");
  const says = (options: string) => ffprobe(file, `${options} -show_entries stream=color_space`);
  for (const source of [[input], ["--frames", "3"]]) {
    await encodeJson(...source, "--color-space", "bt709", "-o", file);
    expect(says("-nofind_stream_info")).toEqual(["bt709"]);
    const inside = folder.file("colour.ivf");
    run("ffmpeg", "-v", "error", "-y", "-i", file, "-c", "copy", inside);
    expect(ffprobe(inside, "-show_entries stream=color_space")).toEqual(["bt709"]);
  }
});
