/** The memory that a stream's addresses refer to: the host's, through the DMA table, or the window in BAR1. */
import { ptr } from "bun:ffi";
import type { MemoryBar } from "../../model/device-model.ts";
import type { DmaTable } from "../../model/dma.ts";
import { type DmaRange, SharedMapping } from "../../model/shared-mapping.ts";
import type { Fd } from "../../os/fd.ts";
import { clearMemfd, copyMemory, createMemfd, mapShared } from "../../os/memory.ts";
import { WINDOW_BYTES } from "../contract/registers.ts";
import { CompletionStatus, SEGMENT_BYTES, Segment } from "../contract/rings.ts";

/** BAR1: separate memory for each client. */
export class Window implements MemoryBar, Disposable {
  readonly kind = "memory";
  readonly sizeBytes = WINDOW_BYTES;
  #fd!: Fd;
  #mapping: SharedMapping | undefined;

  /** Throws SystemError. */
  constructor() {
    this.renew();
  }

  /** Replaces the memory; ranges resolved before stay until released. Throws SystemError and then changes nothing. */
  renew(): void {
    const fd = createMemfd("vp9-window", WINDOW_BYTES);
    try {
      const mapping = new SharedMapping(mapShared(fd.number, WINDOW_BYTES), () => {});
      this.#mapping?.release();
      this.#mapping = mapping;
    } catch (error) {
      fd[Symbol.dispose]();
      throw error;
    }
    this.#fd?.[Symbol.dispose]();
    this.#fd = fd;
  }

  [Symbol.dispose](): void {
    this.#mapping?.release();
    this.#mapping = undefined;
    this.#fd[Symbol.dispose]();
  }

  get fd(): number {
    return this.#fd.number;
  }

  bytes(offset: number, sizeBytes: number): Uint8Array {
    return this.#mapping!.mapping.bytes(offset, sizeBytes);
  }

  clear(): void {
    clearMemfd(this.#fd, WINDOW_BYTES);
  }

  /** Undefined if not all of it is inside. */
  resolve(address: number, sizeBytes: number): DmaRange[] | undefined {
    if (!(address + sizeBytes <= WINDOW_BYTES)) return undefined;
    return [this.#mapping!.range(address, sizeBytes)];
  }
}

export function release(ranges: readonly DmaRange[] | undefined): void {
  for (const range of ranges ?? []) range.release();
}

export interface EndpointMemory {
  /** Undefined if any byte can't be reached; the result is held until released. */
  resolve(address: number, sizeBytes: number, write: boolean): DmaRange[] | undefined;
  /** Copies in or out; false if any byte can't be reached. */
  read(address: number, to: ArrayBuffer): boolean;
  write(address: number, from: Uint8Array): boolean;
}

export function endpointMemory(dma: DmaTable, window: Window, inWindow: boolean): EndpointMemory {
  const resolve = (address: number, sizeBytes: number, write: boolean): DmaRange[] | undefined => {
    return inWindow ? window.resolve(address, sizeBytes) : dma.resolve(address, sizeBytes, write);
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

/** The pieces of a frame, held until released, or the completion status that says why it can't be used. */
export function findFrame(
  memory: EndpointMemory,
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
