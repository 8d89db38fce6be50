/** Raw video in layouts that the device does not take: each is compared with what ffmpeg makes of the same pictures. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import type { RawFormat } from "../../src/media/raw-format.ts";
import { openFrameSource } from "../../src/media/source.ts";
import { frameSizeBytes } from "../../src/media/video.ts";
import { bash, CLIP, CLIP_FRAMES, readAll, run, tempFolder } from "./rig.ts";

setDefaultTimeout(60_000);

const READ = `${import.meta.dir}/read-frames.ts`;
const FRAMES = 3;
const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

/** Sizes whose sides are even, odd, and as small as can be. */
const SIZES = ["64x48", "35x29", "36x29", "35x28", "1x1"];

function sizeOf(text: string) {
  const [width = 0, height = 0] = text.split("x").map(Number);
  return { width, height };
}

/** Pictures with detail in every plane: ffmpeg's raw video of one layout, made from its raw video of another. */
function ffmpeg(size: string, from: { format: string; file: string }, to: string, filter = "null"): string {
  const file = folder.file(`${size}-${from.format}-${to}-${filter.replace(/\W/g, "-")}.raw`);
  const input = `-v error -y -f rawvideo -video_size ${size} -pix_fmt ${from.format} -i`;
  const output = `-vf ${filter} -pix_fmt ${to} -f rawvideo`;
  run("ffmpeg", ...input.split(" "), from.file, ...output.split(" "), file);
  return file;
}

/** Noise, so that every sample differs from its neighbours: raw video of one of ffmpeg's layouts. */
function noise(size: string, format: "yuv420p" | "yuyv422" | "uyvy422"): { format: string; file: string } {
  const { width, height } = sizeOf(size);
  const packed = 4 * Math.ceil(width / 2) * height;
  const bytes = Buffer.alloc(FRAMES * (format === "yuv420p" ? frameSizeBytes({ width, height }) : packed));
  let state = 7;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  const file = folder.file(`${size}.${format}`);
  writeFileSync(file, bytes);
  return { format, file };
}

async function read(file: string, size: string, format: RawFormat): Promise<Buffer> {
  const { frames, error } = await readAll(file, { size: sizeOf(size), format });
  expect(error).toBeUndefined();
  expect(frames).toHaveLength(FRAMES);
  return Buffer.concat(frames);
}

describe.each(SIZES)("%s", (size) => {
  test("yv12 is I420 with its chroma planes swapped", async () => {
    const planes = noise(size, "yuv420p");
    const yv12 = ffmpeg(size, planes, "yuv420p", "shuffleplanes=0:2:1");
    expect(readFileSync(yv12).equals(readFileSync(planes.file))).toBe(false);
    expect((await read(yv12, size, "yv12")).equals(readFileSync(planes.file))).toBe(true);
  });

  test("nv21 becomes ffmpeg's nv12", async () => {
    const planes = noise(size, "yuv420p");
    const [nv21, nv12] = [ffmpeg(size, planes, "nv21"), ffmpeg(size, planes, "nv12")];
    expect(readFileSync(nv21).equals(readFileSync(nv12))).toBe(false);
    expect((await read(nv21, size, "nv21")).equals(readFileSync(nv12))).toBe(true);
  });

  test("mono keeps its luma, and its chroma is 128", async () => {
    const planes = noise(size, "yuv420p");
    const luma = readFileSync(ffmpeg(size, planes, "gray", "extractplanes=y"));
    const gray = ffmpeg(size, planes, "gray", "scale=in_range=tv:out_range=tv");
    const { width, height } = sizeOf(size);
    const grey = Buffer.alloc(frameSizeBytes(sizeOf(size)) - width * height, 128);
    const expected = Array.from({ length: FRAMES }, (_, i) => [
      luma.subarray(i * width * height, (i + 1) * width * height),
      grey,
    ]);
    expect((await read(gray, size, "mono")).equals(Buffer.concat(expected.flat()))).toBe(true);
  });

  test.each([
    ["yuyv", "yuyv422"],
    ["uyvy", "uyvy422"],
  ] as const)("%s keeps its luma, and each two rows of chroma become their mean", async (format, theirs) => {
    const packed = noise(size, theirs);
    const ours = await read(packed.file, size, format);
    expect(ours.equals(halved(readFileSync(ffmpeg(size, packed, "yuv422p")), sizeOf(size)))).toBe(true);
    // ffmpeg's own way to 4:2:0 rounds down, and leaves the last row of an odd height unset.
    if (sizeOf(size).height % 2 === 1) return;
    const ffmpegs = readFileSync(ffmpeg(size, packed, "yuv420p"));
    expect(ffmpegs.length).toBe(ours.length);
    expect(Math.max(...ours.map((value, i) => Math.abs(value - ffmpegs[i]!)))).toBeLessThan(2);
  });
});

/** The reference for packed 4:2:2, libyuv's arithmetic: (a + b + 1) >> 1 of two rows of ffmpeg's yuv422p; an odd last row stays. */
function halved(planar: Buffer, { width, height }: { width: number; height: number }): Buffer {
  const columns = Math.ceil(width / 2);
  const frame = (width + 2 * columns) * height;
  const plane = (start: number) =>
    Array.from({ length: Math.ceil(height / 2) }, (_, row) =>
      Array.from({ length: columns }, (_, column) => {
        const at = (line: number) => planar[start + Math.min(line, height - 1) * columns + column]!;
        return (at(2 * row) + at(2 * row + 1) + 1) >> 1;
      }),
    ).flat();
  const frames = Array.from({ length: planar.length / frame }, (_, i) => {
    const u = i * frame + width * height;
    return [planar.subarray(i * frame, u), Buffer.from(plane(u)), Buffer.from(plane(u + columns * height))];
  });
  return Buffer.concat(frames.flat());
}

test("a source says what it gives, what it made that of, and how many frames the file has", async () => {
  const size = { width: 320, height: 192 };
  const bytes = statSync(CLIP).size;
  for (const [format, given, frameBytes] of [
    ["i420", "i420", 92_160],
    ["nv12", "nv12", 92_160],
    ["yv12", "i420", 92_160],
    ["nv21", "nv12", 92_160],
    ["yuyv", "i420", 122_880],
    ["uyvy", "i420", 122_880],
    ["mono", "i420", 61_440],
  ] as const) {
    using source = await openFrameSource(CLIP, { size, format });
    expect(source.video.format).toBe(given);
    expect(source.convertedFrom).toBe(format === given ? undefined : format);
    expect(source.frameCount).toBe(Math.floor(bytes / frameBytes));
  }
});

test.each(["yv12", "nv21", "yuyv", "uyvy", "mono"] as const)(
  "%s is the same from a pipe, and in memory that begins at an odd byte",
  async (format) => {
    const size = { width: 320, height: 192 };
    const options = { size, format };
    using source = await openFrameSource(CLIP, options);
    const memory = Buffer.alloc(92_160 + 2, 0xee);
    const inMemory: string[] = [];
    for (let i = 0; i < source.frameCount!; i++) {
      expect(source.read(memory.subarray(1, -1))).toBe(true);
      inMemory.push(new Bun.CryptoHasher("md5").update(memory.subarray(1, -1)).digest("hex"));
    }
    expect([memory.at(0), memory.at(-1)]).toEqual([0xee, 0xee]);
    const { frames } = await readAll(CLIP, options);
    expect(inMemory).toEqual(frames.map((frame) => new Bun.CryptoHasher("md5").update(frame).digest("hex")));
    const whole = inMemory.length * (statSync(CLIP).size / CLIP_FRAMES / 92_160) * fileBytes(format);
    const piped = bash(
      `{ head -c 100; sleep 0.02; head -c 70001; sleep 0.02; head -c $(($3 - 70101)); } < "$2" | bun "$1" - 320x192 ${format}`,
      READ,
      CLIP,
      `${whole}`,
    );
    expect(piped.stderr).toBe("");
    expect(JSON.parse(piped.stdout.toString()).md5s).toEqual(inMemory);
  },
);

const fileBytes = (format: RawFormat) =>
  ({ yuyv: 122_880, uyvy: 122_880, mono: 61_440 })[format as "mono"] ?? 92_160;

test.each([
  ["yv12", 24, 16],
  ["yv12", 24, 21],
  ["nv21", 24, 17],
  ["yuyv", 32, 31],
  ["mono", 16, 1],
] as const)(
  "%s of %d bytes a frame, cut after %d, ends inside that frame",
  async (format, frameBytes, kept) => {
    const file = folder.file("cut.raw");
    writeFileSync(file, Buffer.alloc(2 * frameBytes + kept));
    const { frames, error } = await readAll(file, { size: { width: 4, height: 4 }, format });
    expect(frames).toHaveLength(2);
    expect(error!.message).toContain(
      `ends inside frame 2 (counted from 0): ${kept} of its ${frameBytes} bytes are there. The file is cut short, or its frames are not 4x4 ${format}`,
    );
  },
);

test("a y4m of luma alone is read as grey, whatever its frame lines say", async () => {
  const file = folder.file("mono.y4m");
  writeFileSync(file, "YUV4MPEG2 W3 H1 F25:1 Ip Cmono\nFRAME\nabcFRAME X\ndefFRAME\nghi");
  using source = await openFrameSource(file, {});
  expect(source).toMatchObject({ convertedFrom: "mono", video: { format: "i420" } });
  const { frames, error } = await readAll(file);
  expect(error).toBeUndefined();
  const grey = Buffer.alloc(4, 128);
  expect(frames).toEqual(["abc", "def", "ghi"].map((luma) => Buffer.concat([Buffer.from(luma), grey])));
});
