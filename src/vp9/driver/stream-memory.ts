/**
 * The memory that a stream shares with the endpoint: both rings, and a frame and a packet for each slot. The
 * device accesses host memory itself; the driver copies frames into the window, and packets out of it.
 */

import type { PciDevice, Region } from "../../device/device.ts";
import { registers } from "../contract/registers.ts";
import { COMPLETION_BYTES, SUBMISSION_BYTES } from "../contract/rings.ts";

/** How frames reach the device. */
export type TransferPath = "dma" | "window";

export interface StreamMemory extends Disposable {
  /** Value of the SPACE register. */
  readonly space: number;
  readonly ringLog2: number;
  /** Addresses for the device. */
  readonly submissionRing: number;
  readonly completionRing: number;
  /** Frames that can be under way at once; may be fewer than asked for. */
  readonly slots: number;
  readonly packetBytes: number;
  frameAddress(slot: number): number;
  packetAddress(slot: number): number;
  /** Memory to fill with a frame before carryFrame; exactly the frame's size. */
  frame(slot: number): Uint8Array<ArrayBuffer>;
  /** Copies the frame to where the device reads it, unless it is there already. */
  carryFrame(slot: number): void;
  /** A copy of the packet in a slot. */
  packet(slot: number, sizeBytes: number): Uint8Array<ArrayBuffer>;
  /** Ring accesses; the address is a ring's plus the offset in it. */
  read32(address: number): number;
  write32(address: number, value: number): void;
  /** Takes it from a device that is gone. Frames can still be read and written, until the result is disposed of. */
  detach(): Disposable;
}

const PAGE = 4096;
/** Room beyond a frame's size, for headers: VP9 may be larger than its source, but not by this much. */
const PACKET_SLACK_BYTES = 64 * 1024;
/** Least room for a packet in the window, as a share of a frame; less is not worth trying. */
const LEAST_PACKET_SHARE = 0.2;

const { HOST, WINDOW } = registers.SPACE.fields.CODE.values;

function roundUp(bytes: number, to: number): number {
  return Math.ceil(bytes / to) * to;
}

/** Rings for `slots` frames and one flush. */
function ringLog2For(slots: number): number {
  return Math.max(1, Math.ceil(Math.log2(slots + 1)));
}

function layOut(slots: number, frameBytes: number, packetBytes: number) {
  const ringLog2 = ringLog2For(slots);
  const completionRing = SUBMISSION_BYTES << ringLog2;
  const frames = roundUp(completionRing + (COMPLETION_BYTES << ringLog2), PAGE);
  const frameStride = roundUp(frameBytes, PAGE);
  const packets = frames + slots * frameStride;
  return { ringLog2, completionRing, frames, frameStride, packets, sizeBytes: packets + slots * packetBytes };
}

/** Host memory, by DMA. The device encodes frames in place: nothing is copied. Throws DeviceError. */
export function allocateHostMemory(device: PciDevice, slots: number, frameBytes: number): StreamMemory {
  const packetBytes = roundUp(frameBytes + PACKET_SLACK_BYTES, PAGE);
  const layout = layOut(slots, frameBytes, packetBytes);
  const dma = device.allocateDma(layout.sizeBytes);
  const frames = Array.from({ length: slots }, (_, i) =>
    dma.bytes(layout.frames + i * layout.frameStride, frameBytes),
  );
  return {
    space: HOST,
    ringLog2: layout.ringLog2,
    submissionRing: dma.iova,
    completionRing: dma.iova + layout.completionRing,
    slots,
    packetBytes,
    frameAddress: (slot) => dma.iova + layout.frames + slot * layout.frameStride,
    packetAddress: (slot) => dma.iova + layout.packets + slot * packetBytes,
    frame: (slot) => frames[slot]!,
    carryFrame: () => {},
    packet: (slot, sizeBytes) => dma.bytes(layout.packets + slot * packetBytes, sizeBytes).slice(),
    read32: (address) => dma.read32(address - dma.iova),
    write32: (address, value) => dma.write32(address - dma.iova, value),
    detach: () => dma.detach(),
    [Symbol.dispose]: () => dma[Symbol.dispose](),
  };
}

/** A frame that does not fit the window. */
export class WindowTooSmall extends Error {
  override readonly name = "WindowTooSmall";
}

/**
 * The window in a BAR: addresses are offsets into it. Holds as many of the requested slots as fit. Throws
 * WindowTooSmall if not even one does.
 */
export function openWindowMemory(
  window: Region,
  windowBytes: number,
  slots: number,
  frameBytes: number,
): StreamMemory {
  let fitting = slots;
  let packetBytes = 0;
  for (; fitting > 0; fitting--) {
    const roomBytes = windowBytes - layOut(fitting, frameBytes, 0).sizeBytes;
    packetBytes = Math.min(
      Math.floor(roomBytes / fitting / PAGE) * PAGE,
      roundUp(frameBytes + PACKET_SLACK_BYTES, PAGE),
    );
    if (packetBytes >= Math.max(PAGE, frameBytes * LEAST_PACKET_SHARE)) break;
  }
  if (fitting === 0) {
    throw new WindowTooSmall(
      `a frame of ${frameBytes} bytes and its packet do not fit the device's window of ${windowBytes} bytes; use the DMA path, or smaller frames`,
    );
  }
  const layout = layOut(fitting, frameBytes, packetBytes);
  const frames = Array.from({ length: fitting }, () => new Uint8Array(new ArrayBuffer(frameBytes)));
  return {
    space: WINDOW,
    ringLog2: layout.ringLog2,
    submissionRing: 0,
    completionRing: layout.completionRing,
    slots: fitting,
    packetBytes,
    frameAddress: (slot) => layout.frames + slot * layout.frameStride,
    packetAddress: (slot) => layout.packets + slot * packetBytes,
    frame: (slot) => frames[slot]!,
    carryFrame: (slot) => window.copyIn(layout.frames + slot * layout.frameStride, frames[slot]!),
    packet: (slot, sizeBytes) => {
      const packet = new Uint8Array(new ArrayBuffer(sizeBytes));
      window.copyOut(layout.packets + slot * packetBytes, packet);
      return packet;
    },
    read32: (address) => window.read32(address),
    write32: (address, value) => window.write32(address, value),
    detach: () => ({ [Symbol.dispose]: () => {} }),
    [Symbol.dispose]: () => {},
  };
}
