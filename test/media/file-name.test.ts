/** What is guessed of raw video from its file's name. */
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { guessFromName, type KnownVideo } from "../../src/media/file-name.ts";
import { openFrameSource } from "../../src/media/source.ts";
import { bash, CLIP, CLIP_FRAMES, failure, tempFolder } from "./rig.ts";

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

const FRAME = (640 * 360 * 3) / 2;
const size = { width: 640, height: 360 };
const rate = (num: number, den = 1) => ({ num, den });

test.each<[string, number, KnownVideo]>([
  ["clip_640x360_30fps.yuv", FRAME, { size, fps: rate(30) }],
  ["foo-640x360-nv12.yuv", 7 * FRAME, { size, format: "nv12" }],
  ["/a/1280x720/Foo640X360p_29.97fps.YUV", FRAME, { size, fps: rate(30_000, 1001) }],
  ["640x360.23.976fps", FRAME, { size, fps: rate(24_000, 1001) }],
  ["clip.640x360.30fps.yuv", FRAME, { size, fps: rate(30) }],
  ["a_640x360_1000.5fps.yuv", FRAME, { size }],
  ["a_640x360_12.5 Hz.raw", FRAME, { size, fps: rate(125, 10) }],
  ["a_640x360_640x360_30fps_30fps.raw", FRAME, { size, fps: rate(30) }],
  ["a_640x360_0fps_48000hz_420_8bit.yuv", FRAME, { size }],
  ["a_640x360_yuv420p.yuv", FRAME, { size, format: "i420" }],
  ["640x360.yv12", FRAME, { size, format: "yv12" }],
  ["640x360_NV21.yuv", FRAME, { size, format: "nv21" }],
  ["640x360-yuy2", 640 * 360 * 2, { size, format: "yuyv" }],
  ["640x360.uyvy", 640 * 360 * 6, { size, format: "uyvy" }],
  ["640x360_mono.raw", 640 * 360, { size, format: "mono" }],
  ["0x1234_640x360.yuv", FRAME, { size }],
])("%s of %d bytes is %j", (name, bytes, guess) => {
  expect(guessFromName(name, bytes, {})).toEqual(guess);
});

test.each([
  ["clip.yuv"],
  ["640x360/clip.yuv"],
  ["a_30fps.yuv"],
  ["a_0x360.yuv"],
  ["a_20000x360.yuv"],
  ["3x640x360.yuv"],
  ["640x360x3.yuv"],
  ["1000000x360.yuv"],
  ["640 x 360.yuv"],
])("%s says no size", (name) => {
  expect(guessFromName(name, FRAME, {})).toEqual({});
});

test.each<[string, number, string]>([
  ["a_640x360_to_1280x720.yuv", FRAME, "the file's name has the sizes 640x360 and 1280x720, so none is used"],
  [
    "a_640x360_nv12_nv21.yuv",
    FRAME,
    "the file's name has the formats nv12 and nv21, so nothing is guessed from it",
  ],
  [
    "a_640x360_30fps.yuv",
    FRAME - 1,
    `the file's name says 640x360 i420, but its ${FRAME - 1} bytes are not a whole number of such frames (${FRAME} bytes each)`,
  ],
  [
    "a_640x360_uyvy.yuv",
    FRAME,
    `the file's name says 640x360 uyvy, but its ${FRAME} bytes are not a whole number of such frames (460800 bytes each)`,
  ],
  ...[
    ...[
      "yuv411p",
      "yuv420p9le",
      "420p10",
      "10bit",
      "p010",
      "rgb24",
      "bgra",
      "yuva420p",
      "nv16",
      "444",
      "v210",
    ],
  ].map((word): [string, number, string] => [
    `a_640x360_${word}_25fps.yuv`,
    4 * FRAME,
    `the file's name says ${word}, a layout that can't be read, so nothing is guessed from it`,
  ]),
])("%s of %d bytes is not guessed, with words", (name, bytes, doubt) => {
  expect(guessFromName(name, bytes, {})).toEqual({ doubt });
});

test("two rates leave the size", () => {
  expect(guessFromName("a_640x360_30fps_60fps.yuv", FRAME, {})).toEqual({
    size,
    doubt: "the file's name has the rates 30 and 60, so none is used",
  });
});

describe("what is known already is not guessed:", () => {
  const name = "a_640x360_25fps_nv12.yuv";
  test.each<[KnownVideo, KnownVideo]>([
    [{ size }, { fps: rate(25), format: "nv12" }],
    [{ fps: rate(50) }, { size, format: "nv12" }],
    [{ format: "i420" }, { size, fps: rate(25) }],
    [{ size, fps: rate(50), format: "nv21" }, {}],
    // The name is of other video than this.
    [{ size: { width: 320, height: 360 } }, {}],
  ])("%j", (known, guess) => {
    expect(guessFromName(name, FRAME, known)).toEqual(guess);
  });

  test("and settles what the name leaves open", () => {
    const names = "a_640x360_of_1280x720_yuv411p_25fps_30fps.yuv";
    expect(guessFromName(names, FRAME, { size, format: "i420", fps: rate(25) })).toEqual({});
    expect(guessFromName(names, FRAME - 1, { size, format: "i420" })).toEqual({});
  });
});

test("a source guesses only if it is told to, and its clock counts frames as a y4m's does", async () => {
  using source = await openFrameSource(CLIP, { guess: true });
  expect(source.video).toEqual({
    width: 320,
    height: 192,
    format: "i420",
    fps: rate(12),
    timebase: rate(1, 12),
  });
  expect(source).toMatchObject({
    frameCount: CLIP_FRAMES,
    guessed: { size: { width: 320, height: 192 }, fps: rate(12) },
  });
  expect((await failure(() => openFrameSource(CLIP, {}))).message).toContain(
    "does not say its size. Describe it",
  );
  using sized = await openFrameSource(CLIP, { size: { width: 320, height: 192 } });
  expect(sized.video.fps).toEqual(rate(30));
});

test("a source that can't be guessed says why", async () => {
  const file = folder.file("a_320x192_or_192x320.yuv");
  writeFileSync(file, readFileSync(CLIP));
  expect((await failure(() => openFrameSource(file, { guess: true }))).message).toEndWith(
    "raw video does not say its size. The file's name has the sizes 320x192 and 192x320, so none is used. Describe it",
  );
});

test("nothing is guessed for a pipe, nor for a y4m", async () => {
  const [fifo, y4m] = [folder.file("a_320x192.yuv"), folder.file("b_640x360_60fps_nv12.y4m")];
  bash('mkfifo "$1"', fifo);
  await using writer = Bun.spawn(["bash", "-c", 'cat "$0" > "$1"', CLIP, fifo], { stderr: "ignore" });
  expect((await failure(() => openFrameSource(fifo, { guess: true }))).message).toContain(
    "does not say its size. Describe it",
  );
  await writer.exited;
  writeFileSync(y4m, "YUV4MPEG2 W2 H2 F25:1\nFRAME\nabcdef");
  using source = await openFrameSource(y4m, { guess: true });
  expect(source.video).toMatchObject({ width: 2, format: "i420", fps: rate(25) });
  expect(source.guessed).toEqual({});
});
