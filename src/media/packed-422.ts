/** YUYV and UYVY: 4:2:2 in groups of four bytes, each two pixels' luma and the chroma they share. */

/** Where a group has its luma (and two bytes later the second pixel's) and its U (and two bytes later V). */
export interface Packing {
  readonly luma: 0 | 1;
  readonly chroma: 0 | 1;
}

/** Bytes of a packed 4:2:2 frame: a row of odd width ends with a whole group, as in ffmpeg and libyuv. */
export function packedSizeBytes({ width, height }: { width: number; height: number }): number {
  return 4 * Math.ceil(width / 2) * height;
}

/**
 * Converts a frame to I420 as libyuv's YUY2ToI420 does: luma as it is, and chroma the mean of two rows, with
 * halves rounded up. The last row of an odd height keeps its own chroma.
 */
export function packedToI420(
  packed: Uint8Array,
  i420: Uint8Array,
  { width, height }: { width: number; height: number },
  { luma, chroma }: Packing,
): void {
  const columns = Math.ceil(width / 2);
  const rows = Math.ceil(height / 2);
  const stride = 4 * columns;
  let u = width * height;
  let v = u + columns * rows;
  for (let row = 0; row < height; row += 2) {
    const isPair = row + 1 < height;
    let upper = row * stride;
    let lower = isPair ? upper + stride : upper;
    let y = row * width;
    let below = isPair ? y + width : y;
    // Bytes one by one: words of 32 bits are only 5 % faster, and need an even width and aligned memory.
    for (let pair = width >> 1; pair > 0; pair--) {
      i420[y++] = packed[upper + luma]!;
      i420[y++] = packed[upper + luma + 2]!;
      i420[below++] = packed[lower + luma]!;
      i420[below++] = packed[lower + luma + 2]!;
      i420[u++] = (packed[upper + chroma]! + packed[lower + chroma]! + 1) >> 1;
      i420[v++] = (packed[upper + chroma + 2]! + packed[lower + chroma + 2]! + 1) >> 1;
      upper += 4;
      lower += 4;
    }
    if (width % 2 === 1) {
      i420[y] = packed[upper + luma]!;
      i420[below] = packed[lower + luma]!;
      i420[u++] = (packed[upper + chroma]! + packed[lower + chroma]! + 1) >> 1;
      i420[v++] = (packed[upper + chroma + 2]! + packed[lower + chroma + 2]! + 1) >> 1;
    }
  }
}
