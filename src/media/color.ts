/** Color spaces by the names that VP9 and vpxenc have for them, and what a WebM calls their parts. */

/** A color space, as `vpxenc --color-space` names it, without sRGB, which only 4:4:4 can have. */
export type ColorSpace = "unknown" | "bt601" | "bt709" | "smpte170" | "smpte240" | "bt2020";

/** Codes of ITU-T H.273 (ISO/IEC 23091-2), as WebM's Colour element has them. */
export interface ColorCodes {
  readonly matrix: number;
  readonly transfer: number;
  readonly primaries: number;
}

/** Not known, or none of the codes. */
const UNSPECIFIED = 2;
const UNKNOWN: ColorCodes = { matrix: UNSPECIFIED, transfer: UNSPECIFIED, primaries: UNSPECIFIED };

/**
 * What each color space says for sure. BT.601 has primaries for 525 and for 625 lines; video in BT.2020's
 * primaries may be SDR, PQ or HLG.
 */
export const colorCodes: Readonly<Record<ColorSpace, ColorCodes>> = {
  unknown: UNKNOWN,
  bt601: { matrix: 5, transfer: 6, primaries: UNSPECIFIED },
  bt709: { matrix: 1, transfer: 1, primaries: 1 },
  smpte170: { matrix: 6, transfer: 6, primaries: 6 },
  smpte240: { matrix: 7, transfer: 7, primaries: 7 },
  bt2020: { matrix: 9, transfer: UNSPECIFIED, primaries: 9 },
};
