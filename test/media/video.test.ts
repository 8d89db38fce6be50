import { expect, test } from "bun:test";
import { frameSizeBytes, frameTimeUs, MILLISECONDS, toTicks } from "../../src/media/video.ts";
import { vp9CodecString } from "../../src/media/vp9-level.ts";

test("a 4:2:0 frame has chroma planes that round up for odd sizes", () => {
  expect(frameSizeBytes({ width: 320, height: 192 })).toBe(92160);
  expect(frameSizeBytes({ width: 1, height: 1 })).toBe(3);
  expect(frameSizeBytes({ width: 353, height: 289 })).toBe(353 * 289 + 2 * 177 * 145);
});

test("a frame's time is exact and rounded down, however far into the video", () => {
  expect([0, 1, 2, 3].map((i) => frameTimeUs(i, { num: 12, den: 1 }))).toEqual([0, 83_333, 166_666, 250_000]);
  expect(frameTimeUs(30_000, { num: 30_000, den: 1001 })).toBe(1_001_000_000);
  expect(frameTimeUs(29_999_999_999, { num: 30_000, den: 1001 })).toBe(1_000_999_999_966_633);
});

test("a frame's time is its number in ticks of a frame, and vpxenc's milliseconds in milliseconds", () => {
  for (const fps of [
    { num: 12, den: 1 },
    { num: 25, den: 1 },
    { num: 30_000, den: 1001 },
    { num: 1, den: 7 },
  ]) {
    for (const index of [0, 1, 2, 3, 1001, 29_999, 1_000_000, 29_999_999]) {
      const timeUs = frameTimeUs(index, fps);
      expect(toTicks(timeUs, { num: fps.den, den: fps.num })).toBe(index);
      expect(toTicks(timeUs, MILLISECONDS)).toBe(Math.floor((1000 * index * fps.den) / fps.num));
    }
  }
});

test("the VP9 codec string has the lowest level with room for the picture and its rate", () => {
  const level = (width: number, height: number, num: number) =>
    vp9CodecString({ width, height, format: "i420", fps: { num, den: 1 } });
  expect(level(320, 192, 12)).toBe("vp09.00.11.08");
  expect(level(1, 1, 1)).toBe("vp09.00.10.08");
  expect(level(1920, 1080, 30)).toBe("vp09.00.40.08");
  expect(level(1920, 1080, 60)).toBe("vp09.00.41.08");
  expect(level(16384, 16384, 60)).toBe("vp09.00.62.08");
});

test.each([
  ["i422", "vp09.01.11.08.02.02.02.02.00"],
  ["i440", "vp09.01.11.08"],
  ["i444", "vp09.01.11.08.03.02.02.02.00"],
  ["i420p10", "vp09.02.11.10"],
  ["i444p12", "vp09.03.11.12.03.02.02.02.00"],
] as const)("of %s it is %s", (format, codec) => {
  expect(vp9CodecString({ width: 320, height: 192, format, fps: { num: 12, den: 1 } })).toBe(codec);
});
