/** Layouts of raw frames in files, and how each becomes one that the device takes. */

import { type PixelFormat, pixelFormatNames, type Size } from "../pixels/pixel-format.ts";
import { type Packing, packedSizeBytes, packedToI420 } from "./packed-422.ts";
import { frameSizeBytes } from "./video.ts";

/**
 * Layout of a frame in a file: one that the device takes, or one with 8 bits a sample that becomes such. `yv12`
 * is I420 with V before U, and `nv21` NV12 with V before U. `yuyv` (YUY2) and `uyvy` are packed 4:2:2. `mono` is
 * luma only.
 */
export type RawFormat = PixelFormat | "yv12" | "nv21" | "yuyv" | "uyvy" | "mono";

/** Reads frames of one size in one layout. */
export interface FileLayout {
  /** Bytes of a frame in the file. */
  readonly sizeBytes: number;
  /** Memory to fill with the file's next bytes, one part after the other, for a frame in `into`. */
  readonly parts: (into: Uint8Array) => readonly Uint8Array[];
  /** Makes the device's frame of filled parts. */
  readonly finish?: (into: Uint8Array) => void;
}

interface Format {
  /** What the device is given. */
  readonly becomes: PixelFormat;
  /** ffmpeg's name of this layout (-pix_fmt); of yv12 it knows no more than that U and V have changed places. */
  readonly ffmpeg: string;
  /** Set if chroma is lost on the way. */
  readonly isLossy?: true;
  readonly layout: (size: Size) => FileLayout;
}

const asItIs = (size: Size, format: PixelFormat): FileLayout => ({
  sizeBytes: frameSizeBytes({ ...size, format }),
  parts: (into) => [into],
});

/** Reads V into the second of the chroma planes, and then U into the first. */
function planesSwapped(size: Size): FileLayout {
  const sizeBytes = frameSizeBytes(size);
  const luma = size.width * size.height;
  const v = luma + (sizeBytes - luma) / 2;
  return {
    sizeBytes,
    parts: (into) => [into.subarray(0, luma), into.subarray(v), into.subarray(luma, v)],
  };
}

/** Swaps the bytes of each pair in place: Buffer does 1080p in 12 us, a loop over 32-bit words in 145 us. */
function pairsSwapped(size: Size): FileLayout {
  const luma = size.width * size.height;
  return {
    ...asItIs(size, "nv12"),
    finish: (into) => {
      Buffer.from(into.buffer, into.byteOffset + luma, into.length - luma).swap16();
    },
  };
}

function packed(size: Size, packing: Packing): FileLayout {
  const sizeBytes = packedSizeBytes(size);
  let frame = new Uint8Array(0);
  return {
    sizeBytes,
    parts: () => {
      if (frame.length === 0) frame = new Uint8Array(new ArrayBuffer(sizeBytes));
      return [frame];
    },
    finish: (into) => packedToI420(frame, into, size, packing),
  };
}

function lumaOnly({ width, height }: Size): FileLayout {
  const luma = width * height;
  return {
    sizeBytes: luma,
    parts: (into) => [into.subarray(0, luma)],
    finish: (into) => {
      into.fill(128, luma);
    },
  };
}

/** One of the device's layouts. */
function own(format: PixelFormat): Format {
  const ffmpeg = format.replace(
    /^i(\d+)(p?)(\d*)$/,
    (_, chroma, p, bits) => `yuv${chroma}p${p && `${bits}le`}`,
  );
  return { becomes: format, ffmpeg, layout: (size) => asItIs(size, format) };
}

/** Every layout by its name. */
export const rawFormats: Readonly<Record<RawFormat, Format>> = {
  ...(Object.fromEntries(pixelFormatNames.map((name) => [name, own(name)])) as Record<PixelFormat, Format>),
  yv12: { becomes: "i420", ffmpeg: "yuv420p", layout: planesSwapped },
  nv21: { becomes: "nv12", ffmpeg: "nv21", layout: pairsSwapped },
  yuyv: {
    becomes: "i420",
    ffmpeg: "yuyv422",
    isLossy: true,
    layout: (size) => packed(size, { luma: 0, chroma: 1 }),
  },
  uyvy: {
    becomes: "i420",
    ffmpeg: "uyvy422",
    isLossy: true,
    layout: (size) => packed(size, { luma: 1, chroma: 0 }),
  },
  mono: { becomes: "i420", ffmpeg: "gray", layout: lumaOnly },
};
