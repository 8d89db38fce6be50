/** The memory that a stream's addresses refer to: the host's, through the DMA table, or the window in BAR1. */
import type { ModelDevice } from "../../model/model-description.ts";
import { copyFrom, copyTo, release } from "../../model/range-copy.ts";
import type { DmaRange } from "../../model/shared-mapping.ts";
import { CompletionStatus, SEGMENT_BYTES, Segment } from "../contract/rings.ts";

export interface EndpointMemory {
  /** Undefined if any byte can't be reached; the result is held until released. */
  resolve(address: number, sizeBytes: number, write: boolean): DmaRange[] | undefined;
  /** Whether every byte can be reached. */
  reaches(address: number, sizeBytes: number, write: boolean): boolean;
  /** Copies in or out; false if any byte can't be reached. */
  read(address: number, to: Uint8Array): boolean;
  write(address: number, from: Uint8Array): boolean;
}

/** The BAR of the window. */
const WINDOW_BAR = 1;

type Memories = Pick<ModelDevice, "holdMemory" | "holdBar">;

export function endpointMemory(device: Memories, inWindow: boolean): EndpointMemory {
  const resolve = (address: number, sizeBytes: number, write: boolean): DmaRange[] | undefined =>
    inWindow ? device.holdBar(WINDOW_BAR, address, sizeBytes) : device.holdMemory(address, sizeBytes, write);
  return {
    resolve,
    reaches: (address, sizeBytes, write) => {
      const ranges = resolve(address, sizeBytes, write);
      release(ranges);
      return ranges !== undefined;
    },
    read: (address, to) => copyFrom(resolve(address, to.byteLength, false), to),
    write: (address, from) => copyTo(resolve(address, from.byteLength, true), from),
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
  if (!memory.read(address, new Uint8Array(list.buffer))) return CompletionStatus.SOURCE_FAULT;
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
