/** Notes on a result for its viewer, each a sentence or two. */

import { shellWord } from "../../src/media/media-error.ts";
import { rawFormats } from "../../src/media/raw-format.ts";
import type { FrameSource } from "../../src/media/source.ts";
import type { VideoFormat } from "../../src/media/video.ts";
import { displayWidth } from "../../src/media/webm-header.ts";
import type { ContainerName } from "../../src/media/writer.ts";
import { profileOf, samplesOf } from "../../src/pixels/pixel-format.ts";
import type { EncoderConfig } from "../../src/vp9/encoder/encoder-config.ts";

/** libvpx's default bitrate, for any size. */
const DEFAULT_KBPS = 256;
/** Bits per pixel that look good at the default speed: 34 to 35 dB of real video at 720p and 1080p. */
const GOOD_BITS = 0.07;

/** The bitrate for that many bits per pixel, to two digits. */
function goodKbps({ width, height, fps }: VideoFormat, bits: number): number {
  const kbps = (width * height * (fps.num / fps.den) * bits) / 1000;
  return Math.max(10, Number(kbps.toPrecision(2)));
}

type RateConfig = Pick<EncoderConfig, "bitrate" | "bitrateMode" | "lossless">;

/** If the bitrate is libvpx's default: it is far too low, or caps the quality that was asked for. */
function bitrateNote(video: VideoFormat, config: RateConfig): string[] {
  if (config.bitrate !== undefined || config.lossless || config.bitrateMode === "constant-quality") return [];
  const good = goodKbps(video, GOOD_BITS);
  if (config.bitrateMode === "quantizer") {
    const most = Math.max(2 * good, 2 * DEFAULT_KBPS);
    return [
      `--rc cq also has a maximum bitrate, which without --bitrate is libvpx's ${DEFAULT_KBPS} kbit/s: set the maximum, such as --bitrate ${most}`,
    ];
  }
  if (good < 2 * DEFAULT_KBPS) return [];
  return [
    `without --bitrate the target is libvpx's ${DEFAULT_KBPS} kbit/s, at which ${video.width}x${video.height} will look bad: set one, such as --bitrate ${good}`,
  ];
}

/** What --json says of the input beside its properties; undefined members are left out of JSON. */
export function toldOf({ convertedFrom, guessed = {} }: FrameSource) {
  const names = (["size", "fps", "format"] as const).filter((name) => guessed[name]);
  return { convertedFrom, guessed: names.length > 0 ? names : undefined };
}

/** What the file's name added to the command line, as options; and what it says that was not believed. */
function guessNotes({ guessed = {} }: FrameSource): string[] {
  const { size, fps, format, doubt } = guessed;
  const options = [
    ...(size ? [`--size ${size.width}x${size.height}`] : []),
    ...(fps ? [`--fps ${fps.num}${fps.den === 1 ? "" : `/${fps.den}`}`] : []),
    ...(format ? [`--format ${format}`] : []),
  ];
  return [
    ...(options.length > 0
      ? [`guessed from the file's name, which its length confirms: ${options.join(" ")}`]
      : []),
    ...(doubt ? [doubt] : []),
  ];
}

/** If the input had more chroma than can be encoded. */
function conversionNote({ convertedFrom }: FrameSource): string[] {
  if (!convertedFrom || !rawFormats[convertedFrom].isLossy) return [];
  return [
    `${convertedFrom} is 4:2:2, and only 4:2:0 can be encoded: each two rows of chroma become one, their mean`,
  ];
}

/** If few decoders take what the VP9 will be. */
function profileNote({ video }: FrameSource): string[] {
  const profile = profileOf(video.format);
  if (profile === 0) return [];
  return [
    `the video is ${samplesOf(video.format)}, and so it becomes VP9 of profile ${profile}, which few players and hardly any hardware decode. 8-bit 4:2:0 plays everywhere: ffmpeg's -pix_fmt yuv420p converts`,
  ];
}

/** What makes limited range of an input. */
function limitedRangeCommand({ video, isY4m, convertedFrom }: FrameSource, input: string): string {
  const { width, height, fps, format } = video;
  const { ffmpeg } = rawFormats[convertedFrom ?? format];
  const raw = `-f rawvideo -video_size ${width}x${height} -framerate ${fps.num}/${fps.den} -pix_fmt ${ffmpeg} `;
  const swap = convertedFrom === "yv12" ? "swapuv," : "";
  return `ffmpeg ${isY4m ? "" : raw}-i ${input === "-" ? "-" : shellWord(input)} -vf ${swap}scale=in_range=pc:out_range=tv -pix_fmt yuv420p -f yuv4mpegpipe limited.y4m`;
}

/** Properties of the video that the output can't record. */
function lossNotes(source: FrameSource, input: string, isWebm: boolean): string[] {
  const notes = [];
  const { video } = source;
  const { width, height, pixelAspect } = video;
  if (pixelAspect && !isWebm && displayWidth(video) !== width)
    notes.push(
      `IVF can't store the pixel aspect ${pixelAspect.num}:${pixelAspect.den}: it will be shown as ${width}x${height}, not ${displayWidth(video)}x${height}. A .webm keeps it`,
    );
  if (video.fullRange)
    notes.push(
      `the video is full range: ${isWebm ? "the WebM says so, but the VP9 in it" : "IVF can't say so, and the VP9 in it"} says limited, as vpxenc's does, and many players trust that and show too much contrast. To be safe, encode limited range: ${limitedRangeCommand(source, input)}`,
    );
  return notes;
}

/**
 * @param codec as the device reports it: libvpx and libav.js have the default above, others their own
 * @param input as on the command line
 */
export function notesOn(
  source: FrameSource,
  config: RateConfig,
  codec: string,
  input: string,
  container: ContainerName,
): string[] {
  return [
    ...(/^lib(vpx|av\.js) /.test(codec) ? bitrateNote(source.video, config) : []),
    ...guessNotes(source),
    ...conversionNote(source),
    ...profileNote(source),
    ...lossNotes(source, input, container === "webm"),
  ];
}
