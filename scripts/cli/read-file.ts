/** Reads files whose size nobody knows. */
import { closeSync, openSync, readSync } from "node:fs";

const PART_BYTES = 2 ** 20;

/**
 * A file's bytes; "-" is standard input. Of a larger file, or one without an end, the first bytes, one more than `mostBytes`. Throws
 * what opening and reading throws.
 */
export function readAtMost(path: string, mostBytes: number): Uint8Array<ArrayBuffer> {
  const fd = path === "-" ? 0 : openSync(path, "r");
  try {
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    while (sizeBytes <= mostBytes) {
      const part = new Uint8Array(PART_BYTES);
      const got = readSync(fd, part, 0, Math.min(PART_BYTES, mostBytes + 1 - sizeBytes), null);
      if (got === 0) break;
      parts.push(part.subarray(0, got));
      sizeBytes += got;
    }
    const bytes = new Uint8Array(new ArrayBuffer(sizeBytes));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.byteLength;
    }
    return bytes;
  } finally {
    if (fd !== 0) closeSync(fd);
  }
}
