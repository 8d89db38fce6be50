import { pixelFormats, profileOf } from "../pixels/pixel-format.ts";
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
 * The codec string of `video` as VP9, with the lowest level that fits, else the highest. Profiles 1 and 3 name their
 * subsampling, and with it colours that are not specified ("VP Codec ISO Media File Format Binding", Codecs
 * Parameter String).
 */
export function vp9CodecString(video: Pick<VideoFormat, "width" | "height" | "fps" | "format">): string {
  const samples = video.width * video.height;
  const rate = (samples * video.fps.num) / video.fps.den;
  const [level] = LEVELS.find(([, maxRate, maxSamples]) => rate <= maxRate && samples <= maxSamples) ?? [62];
  const { bits, chromaShift } = pixelFormats[video.format];
  const profile = profileOf(video.format);
  const base = `vp09.0${profile}.${level}.${bits === 8 ? "08" : bits}`;
  // 2 is 4:2:2 and 3 is 4:4:4; there is no number for 4:4:0.
  const subsampling = chromaShift[1] === 1 ? undefined : chromaShift[0] === 1 ? "02" : "03";
  return subsampling === undefined ? base : `${base}.${subsampling}.02.02.02.00`;
}
