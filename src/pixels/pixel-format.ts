/** Layouts of raw frames as the device takes them. */

/** How a frame's samples lie in memory: planes of rows without gaps, chroma rounded up. */
interface PixelLayout {
  /** Log2 of how many pixels share a chroma sample, across and down. */
  readonly chromaShift: readonly [x: 0 | 1, y: 0 | 1];
  /** Bits of a sample; more than 8 lie in 16, little-endian, in the low bits. */
  readonly bits: 8 | 10 | 12;
  /** Whether U and V alternate in one plane. */
  readonly isInterleaved?: true;
}

/** Every layout, in the order of its code in the endpoint's register FORMAT. The names are WebCodecs', in lower case, where it has one. */
export const pixelFormats = {
  i420: { chromaShift: [1, 1], bits: 8 },
  nv12: { chromaShift: [1, 1], bits: 8, isInterleaved: true },
  i422: { chromaShift: [1, 0], bits: 8 },
  i440: { chromaShift: [0, 1], bits: 8 },
  i444: { chromaShift: [0, 0], bits: 8 },
  i420p10: { chromaShift: [1, 1], bits: 10 },
  i422p10: { chromaShift: [1, 0], bits: 10 },
  i440p10: { chromaShift: [0, 1], bits: 10 },
  i444p10: { chromaShift: [0, 0], bits: 10 },
  i420p12: { chromaShift: [1, 1], bits: 12 },
  i422p12: { chromaShift: [1, 0], bits: 12 },
  i440p12: { chromaShift: [0, 1], bits: 12 },
  i444p12: { chromaShift: [0, 0], bits: 12 },
} as const satisfies Readonly<Record<string, PixelLayout>>;

/** A layout's name: Y, U and V planes (i...), or a Y plane and one of U and V in turn (nv12); p10 and p12 have 16 bits a sample. */
export type PixelFormat = keyof typeof pixelFormats;

/** The layouts' names, in the order of their codes. */
export const pixelFormatNames = Object.keys(pixelFormats) as readonly PixelFormat[];

/** Size of a picture, in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Where a frame's planes lie: Y, U and V, or Y and both in turn. Offsets and strides in bytes. */
export function framePlanes(
  { width, height }: Size,
  format: PixelFormat,
): {
  readonly planes: readonly { readonly offset: number; readonly stride: number }[];
  readonly sizeBytes: number;
} {
  const { chromaShift, bits, isInterleaved }: PixelLayout = pixelFormats[format];
  const sampleBytes = bits > 8 ? 2 : 1;
  const columns = chromaShift[0] ? Math.ceil(width / 2) : width;
  const rows = chromaShift[1] ? Math.ceil(height / 2) : height;
  const luma = width * height * sampleBytes;
  const stride = columns * sampleBytes;
  const chroma = stride * rows;
  const planes = isInterleaved
    ? [{ offset: luma, stride: 2 * stride }]
    : [
        { offset: luma, stride },
        { offset: luma + chroma, stride },
      ];
  return { planes: [{ offset: 0, stride: width * sampleBytes }, ...planes], sizeBytes: luma + 2 * chroma };
}

/** The VP9 profile that has a layout's samples ("VP9 Bitstream & Decoding Process Specification", 7.2, profile). */
export function profileOf(format: PixelFormat): 0 | 1 | 2 | 3 {
  const { chromaShift, bits } = pixelFormats[format];
  const isSubsampledBoth = chromaShift[0] === 1 && chromaShift[1] === 1;
  if (bits === 8) return isSubsampledBoth ? 0 : 1;
  return isSubsampledBoth ? 2 : 3;
}

/** A layout for people, such as "10-bit 4:2:2". */
export function samplesOf(format: PixelFormat): string {
  const { chromaShift, bits } = pixelFormats[format];
  const [x, y] = chromaShift;
  return `${bits}-bit ${x ? (y ? "4:2:0" : "4:2:2") : y ? "4:4:0" : "4:4:4"}`;
}
