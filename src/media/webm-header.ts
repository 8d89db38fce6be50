/**
 * Elements of a WebM's header that mediabunny can't write as they should be. It is given values that no video
 * has and that take as many bytes; these are replaced before they reach the file.
 */
import type { Size } from "../pixels/pixel-format.ts";
import { colorCodes } from "./color.ts";
import type { VideoFormat } from "./video.ts";

/** Bytes of a header, and those that take their place: as many. */
export interface Replacement {
  readonly from: Buffer;
  readonly to: Buffer;
}

/** What mediabunny is told of a video, in WebCodecs' words. */
export interface ToldConfig {
  readonly displayAspectWidth?: number;
  readonly displayAspectHeight?: number;
  readonly colorSpace?: { readonly fullRange: boolean };
}

/** Width to show a picture at, in pixels, as in vpxenc; its height does not change. */
export function displayWidth({ width, pixelAspect }: VideoFormat): number {
  return pixelAspect ? Math.max(1, Math.round((width * pixelAspect.num) / pixelAspect.den)) : width;
}

/** What to tell mediabunny, and what to replace in its header, so that the header says what is known of `video`. */
export function headerOf(video: VideoFormat): { told: ToldConfig; replacements: readonly Replacement[] } {
  const parts = [display(video), colour(video)].filter((part) => part !== undefined);
  return {
    told: Object.assign({}, ...parts.map(({ told }) => told)) as ToldConfig,
    replacements: parts.map(({ replacement }) => replacement),
  };
}

/**
 * Placeholder for the display size, which vpxenc writes in pixels (RFC 9559, 5.1.4.1.28.12 to 14). mediabunny
 * can only write a ratio, reduced, in a unit that WebM does not have. Two consecutive numbers can't be
 * reduced, so their ratio keeps the size's place.
 */
const PLACEHOLDER = { width: 2 ** 47 + 1, height: 2 ** 47 + 2 };
const DISPLAY_UNIT = { pixels: 0, ratio: 3 } as const;

function display(video: VideoFormat): { told: ToldConfig; replacement: Replacement } | undefined {
  if (!video.pixelAspect) return undefined;
  const size = { width: displayWidth(video), height: video.height };
  return {
    told: { displayAspectWidth: PLACEHOLDER.width, displayAspectHeight: PLACEHOLDER.height },
    replacement: { from: displayElements(PLACEHOLDER, "ratio"), to: displayElements(size, "pixels") },
  };
}

/** DisplayWidth, DisplayHeight (6 bytes each) and DisplayUnit. */
function displayElements({ width, height }: Size, unit: keyof typeof DISPLAY_UNIT): Buffer {
  const bytes = Buffer.alloc(22);
  bytes.set([0x54, 0xb0, 0x86], 0);
  bytes.writeUIntBE(width, 3, 6);
  bytes.set([0x54, 0xba, 0x86], 9);
  bytes.writeUIntBE(height, 12, 6);
  bytes.set([0x54, 0xb2, 0x81, DISPLAY_UNIT[unit]], 18);
  return bytes;
}

/** RFC 9559, 5.1.4.1.28.26. */
const RANGE = { unspecified: 0, limited: 1, full: 2 } as const;

/**
 * mediabunny is told of the range alone: given a matrix, it would also change the VP9, writing the matrix into
 * each key frame.
 */
function colour({ colorSpace = "unknown", fullRange }: VideoFormat) {
  const { matrix, transfer, primaries } = colorCodes[colorSpace];
  const range = fullRange === undefined ? "unspecified" : fullRange ? "full" : "limited";
  const codes = { matrix, transfer, primaries, range: RANGE[range] };
  if (range === "unspecified" && colorCodes[colorSpace] === colorCodes.unknown) return undefined;
  const unknown = { ...colorCodes.unknown, range: RANGE.limited };
  return {
    told: { colorSpace: { fullRange: false } },
    replacement: { from: colourElements(unknown), to: colourElements(codes) },
  };
}

/** MatrixCoefficients, TransferCharacteristics, Primaries and Range, a byte each. */
function colourElements(codes: { matrix: number; transfer: number; primaries: number; range: number }) {
  const { matrix, transfer, primaries, range } = codes;
  return Buffer.from([
    ...[0x55, 0xb1, 0x81, matrix],
    ...[0x55, 0xba, 0x81, transfer],
    ...[0x55, 0xbb, 0x81, primaries],
    ...[0x55, 0xb9, 0x81, range],
  ]);
}
