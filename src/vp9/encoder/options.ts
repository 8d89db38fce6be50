/** What an encoder is opened with, takes and gives. */
import type { PciDevice } from "../../device/device.ts";
import type { TransferPath } from "../driver/stream-memory.ts";

export interface EncoderOptions {
  /** As openDevice takes it, or a device that stays the caller's. Default "model:vp9". */
  readonly device?: string | PciDevice;
  /** How frames reach the device. Default: "dma" where the way to the device has it, else "window". */
  readonly path?: TransferPath | undefined;
  /** Frames under way at once, 1 to 1023; more hide more of the time between frames. Default 4. */
  readonly inFlight?: number;
  /** How long a frame or a flush may take before the device counts as hung. Default 10,000. */
  readonly timeoutMs?: number;
  /** Takes each chunk, in the order of the frames. */
  readonly output: (chunk: EncodedChunk) => void;
  /**
   * Told once when the encoder fails; whatever waits is rejected with the same error. The device is let go of by close,
   * not by this.
   */
  readonly error?: (error: Error) => void;
}

/** One compressed frame. */
export interface EncodedChunk {
  readonly type: "key" | "delta";
  /** Microseconds, as the frame was submitted with. */
  readonly timestamp: number;
  readonly duration: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** A frame to encode. */
export interface RawFrame {
  /**
   * Exactly width x height in the configured format: bytes, which are copied and may be reused once encode's promise is
   * resolved, or the device's own memory, of acquireFrame.
   */
  readonly data: Uint8Array | FrameBuffer;
  /** Microseconds; must rise by at least a tick (EncoderConfig.timebase) from frame to frame. */
  readonly timestamp: number;
  /** Microseconds. Default: one frame at the configured rate. */
  readonly duration?: number;
}

export const optionNames: Readonly<Record<keyof EncoderOptions, true>> = {
  device: true,
  path: true,
  inFlight: true,
  timeoutMs: true,
  output: true,
  error: true,
};

export interface EncodeOptions {
  /** Make this a key frame. */
  readonly keyFrame?: boolean | undefined;
}

export const encodeOptionNames: Readonly<Record<keyof EncodeOptions, true>> = { keyFrame: true };

/**
 * Memory that the device encodes from. Fill `data`, then give the buffer to encode as the frame's data, once: nothing is
 * copied. It is the device's from then on, and gone after configure and close.
 */
export class FrameBuffer {
  readonly data: Uint8Array<ArrayBuffer>;
  /** The driver's number for it. */
  readonly slot: number;

  /** Use acquireFrame. */
  constructor(slot: number, data: Uint8Array<ArrayBuffer>) {
    this.slot = slot;
    this.data = data;
  }
}

export interface EncoderStatistics {
  readonly codec: string;
  readonly path: TransferPath;
  readonly inFlight: number;
  readonly frames: number;
  /** Time the device's codec worked. */
  readonly deviceUs: number;
  /** Time that taking packets over from the device took here. */
  readonly collectMs: number;
  readonly missedInterrupts: number;
}
