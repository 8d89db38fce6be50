/** The memory that a stream's addresses name: the host's, through the DMA table, or the window in BAR1. */
import { ptr } from "bun:ffi";
import { WINDOW_BYTES } from "../../endpoint/registers.ts";
import { CompletionStatus, SEGMENT_BYTES, Segment } from "../../endpoint/rings.ts";
import { clearMemfd, copyMemory, createMemfd, mapShared } from "../../os/memory.ts";
import type { MemoryBar } from "../device-model.ts";
import type { DmaRange, DmaTable } from "../dma.ts";

/** BAR1, and its address in this process. */
export interface Window extends MemoryBar {
  readonly address: number;
  clear(): void;
}

/** The window lives as long as the model. */
export function createWindow(): Window {
  const fd = createMemfd("vp9-window", WINDOW_BYTES);
  const mapping = mapShared(fd.number, WINDOW_BYTES);
  return {
    kind: "memory",
    sizeBytes: WINDOW_BYTES,
    fd: fd.number,
    address: mapping.address,
    bytes: (offset, sizeBytes) => mapping.bytes(offset, sizeBytes),
    clear: () => clearMemfd(fd, WINDOW_BYTES),
  };
}

export function release(ranges: readonly DmaRange[] | undefined): void {
  for (const range of ranges ?? []) range.release();
}

export interface StreamMemory {
  /** Undefined where any byte can't be reached; what it returns is held until released. */
  resolve(address: number, sizeBytes: number, write: boolean): DmaRange[] | undefined;
  /** Copies in or out; false where any byte can't be reached. */
  read(address: number, to: ArrayBuffer): boolean;
  write(address: number, from: Uint8Array): boolean;
}

export function streamMemory(dma: DmaTable, window: Window, inWindow: boolean): StreamMemory {
  const resolve = (address: number, sizeBytes: number, write: boolean): DmaRange[] | undefined => {
    if (!inWindow) return dma.resolve(address, sizeBytes, write);
    if (!(address + sizeBytes <= WINDOW_BYTES)) return undefined;
    return [{ address: window.address + address, sizeBytes, release: () => {} }];
  };
  const copy = (ranges: DmaRange[] | undefined, each: (range: DmaRange, done: number) => void): boolean => {
    let done = 0;
    for (const range of ranges ?? []) {
      each(range, done);
      done += range.sizeBytes;
    }
    release(ranges);
    return ranges !== undefined;
  };
  return {
    resolve,
    read: (address, to) =>
      copy(resolve(address, to.byteLength, false), (range, done) =>
        copyMemory(ptr(to) + done, range.address, range.sizeBytes),
      ),
    write: (address, from) =>
      copy(resolve(address, from.byteLength, true), (range, done) =>
        copyMemory(range.address, ptr(from) + done, range.sizeBytes),
      ),
  };
}

/** The pieces of a frame, held until released, or the completion status that says why there are none. */
export function findFrame(
  memory: StreamMemory,
  address: number,
  frameBytes: number,
  segments: number,
): DmaRange[] | number {
  if (segments === 0) return memory.resolve(address, frameBytes, false) ?? CompletionStatus.SOURCE_FAULT;
  const list = new DataView(new ArrayBuffer(segments * SEGMENT_BYTES));
  if (!memory.read(address, list.buffer)) return CompletionStatus.SOURCE_FAULT;
  const pieces: DmaRange[] = [];
  let sum = 0;
  let status: number = CompletionStatus.OK;
  for (let at = 0; at < list.byteLength && status === CompletionStatus.OK; at += SEGMENT_BYTES) {
    const length = list.getUint32(at + Segment.LENGTH, true);
    sum += length;
    if (sum > frameBytes) break;
    const ranges = memory.resolve(Number(list.getBigUint64(at + Segment.ADDRESS, true)), length, false);
    if (ranges) pieces.push(...ranges);
    else status = CompletionStatus.SOURCE_FAULT;
  }
  if (status === CompletionStatus.OK && sum !== frameBytes) status = CompletionStatus.BAD_SOURCE_SIZE;
  if (status === CompletionStatus.OK) return pieces;
  release(pieces);
  return status;
}
