/** What a decoder needs to know of a stream: WebCodecs' VideoDecoderConfig. */
import { vp9CodecString } from "../../media/vp9-level.ts";
import type { StreamSettings } from "../driver/stream-settings.ts";
import type { EncoderConfig } from "./encoder-config.ts";

/** WebCodecs' VideoColorSpaceInit. */
export interface ColorSpace {
  readonly primaries?: string;
  readonly transfer?: string;
  readonly matrix?: string;
  readonly fullRange: boolean;
}

/** How to decode a stream's chunks: WebCodecs' VideoDecoderConfig, as VideoDecoder and mediabunny take it. */
export interface DecoderConfig {
  /** The config's codec if that names a profile and level, else the lowest level that fits: "vp09.00.31.08". */
  readonly codec: string;
  readonly codedWidth: number;
  readonly codedHeight: number;
  /** The config's display size; absent if it gives none. */
  readonly displayAspectWidth?: number;
  readonly displayAspectHeight?: number;
  /** Present if the config's codec says it: "vp09.00.31.08.01.01.01.01.00". */
  readonly colorSpace?: ColorSpace;
}

/** What `output` is told of a chunk beside the chunk itself: WebCodecs' EncodedVideoChunkMetadata. */
export interface EncodedChunkMetadata {
  /** With the first chunk after configure, which is a key frame. */
  readonly decoderConfig?: DecoderConfig;
  /** With "L1T2" and "L1T3": the chunk's layer. Chunks of a layer need none of the layers above it. */
  readonly svc?: { readonly temporalLayerId: number };
}

/** The numbers of ITU-T H.273 that WebCodecs has names for. */
const PRIMARIES: Readonly<Record<number, string>> = {
  1: "bt709",
  5: "bt470bg",
  6: "smpte170m",
  9: "bt2020",
  12: "smpte432",
};
const TRANSFERS: Readonly<Record<number, string>> = {
  1: "bt709",
  6: "smpte170m",
  8: "linear",
  13: "iec61966-2-1",
  16: "pq",
  18: "hlg",
};
const MATRICES: Readonly<Record<number, string>> = {
  0: "rgb",
  1: "bt709",
  5: "bt470bg",
  6: "smpte170m",
  9: "bt2020-ncl",
};

/** Describes the chunks of a stream. */
export function decoderConfigOf(config: EncoderConfig, settings: StreamSettings): DecoderConfig {
  const { width, height, displayWidth, displayHeight, codec = "vp9" } = config;
  const colorSpace = colorSpaceOf(codec);
  return {
    codec: codec === "vp9" ? vp9CodecString(settings) : codec,
    codedWidth: width,
    codedHeight: height,
    ...(displayWidth !== undefined || displayHeight !== undefined
      ? { displayAspectWidth: displayWidth ?? width, displayAspectHeight: displayHeight ?? height }
      : {}),
    ...(colorSpace && { colorSpace }),
  };
}

/** The colour that a codec string ends with: "VP Codec ISO Media File Format Binding", Codecs Parameter String. */
function colorSpaceOf(codec: string): ColorSpace | undefined {
  const [primaries, transfer, matrix, range] = codec.split(".").slice(5).map(Number);
  if (primaries === undefined || transfer === undefined || matrix === undefined || range === undefined)
    return undefined;
  const names = { primaries: PRIMARIES[primaries], transfer: TRANSFERS[transfer], matrix: MATRICES[matrix] };
  const known = Object.entries(names).filter(([, name]) => name !== undefined);
  return { ...Object.fromEntries(known), fullRange: range === 1 };
}
