import type { VideoFormat } from "./video.ts";

/** VP9 levels (times ten): luma samples a second, and in one picture. Source: "VP9 Levels", The WebM Project. */
const LEVELS = [
  [10, 829_440, 36_864],
  [11, 2_764_800, 73_728],
  [20, 4_608_000, 122_880],
  [21, 9_216_000, 245_760],
  [30, 20_736_000, 552_960],
  [31, 36_864_000, 983_040],
  [40, 83_558_400, 2_228_224],
  [41, 160_432_128, 2_228_224],
  [50, 311_951_360, 8_912_896],
  [51, 588_251_136, 8_912_896],
  [52, 1_176_502_272, 8_912_896],
  [60, 1_176_502_272, 35_651_584],
  [61, 2_353_004_544, 35_651_584],
  [62, 4_706_009_088, 35_651_584],
] as const;

/**
 * The codec string of 8-bit 4:2:0 VP9 (profile 0) with the lowest level that fits `video`, else the highest.
 */
export function vp9CodecString(video: VideoFormat): string {
  const samples = video.width * video.height;
  const rate = (samples * video.fps.num) / video.fps.den;
  const [level] = LEVELS.find(([, maxRate, maxSamples]) => rate <= maxRate && samples <= maxSamples) ?? [62];
  return `vp09.00.${level}.08`;
}
