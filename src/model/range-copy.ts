/** Copies between a buffer and memory in pieces, as DmaTable resolves it. The pieces are released. */
import { ptr } from "bun:ffi";
import { copyMemory } from "../os/memory.ts";
import type { DmaRange } from "./shared-mapping.ts";

/** False if the memory could not be resolved. */
export function copyFrom(ranges: readonly DmaRange[] | undefined, to: Uint8Array): boolean {
  return each(ranges, (range, done) => copyMemory(ptr(to) + done, range.address, range.sizeBytes));
}

/** False if the memory could not be resolved. */
export function copyTo(ranges: readonly DmaRange[] | undefined, from: Uint8Array): boolean {
  return each(ranges, (range, done) => copyMemory(range.address, ptr(from) + done, range.sizeBytes));
}

export function release(ranges: readonly DmaRange[] | undefined): void {
  for (const range of ranges ?? []) range.release();
}

function each(
  ranges: readonly DmaRange[] | undefined,
  copy: (range: DmaRange, done: number) => void,
): boolean {
  let done = 0;
  for (const range of ranges ?? []) {
    copy(range, done);
    done += range.sizeBytes;
  }
  release(ranges);
  return ranges !== undefined;
}
