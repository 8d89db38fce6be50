import { expect, test } from "bun:test";
import { MAX_ASPECT_TERM, MAX_RATE_TERM, MAX_SIDE } from "../../src/media/limits.ts";
import { checkFps, checkPixelAspect, checkSize, MediaError } from "../../src/media/video.ts";

test("a size, a pixel aspect and a frame rate with too large a number are refused", () => {
  checkSize({ width: MAX_SIDE, height: MAX_SIDE }, "size");
  expect(() => checkSize({ width: MAX_SIDE + 1, height: 2 }, "size")).toThrow(MediaError);
  checkPixelAspect({ num: MAX_ASPECT_TERM, den: MAX_ASPECT_TERM }, "aspect");
  expect(() => checkPixelAspect({ num: 1, den: MAX_ASPECT_TERM + 1 }, "aspect")).toThrow(MediaError);
  checkFps({ num: MAX_RATE_TERM, den: MAX_RATE_TERM }, "rate");
  expect(() => checkFps({ num: MAX_RATE_TERM + 1, den: MAX_RATE_TERM }, "rate")).toThrow(MediaError);
});
