/** Options, input and output of an encoder. */
import type { PciDevice } from "../../device/device.ts";
import type { TransferPath } from "../driver/stream-memory.ts";
import type { EncodedChunkMetadata } from "./decoder-config.ts";
import { refuseUnknown } from "./encoder-config.ts";

/** Options for opening an encoder. */
export interface EncoderOptions {
  /** A spec for openDevice, or an open device, which the encoder does not close. Default "model:vp9". */
  readonly device?: string | PciDevice;
  /** How frames reach the device. Default: "dma" if the device can be reached that way, else "window". */
  readonly path?: TransferPath | undefined;
  /**
   * Frames under way at once, 1 to 1023; more hide more of the time between frames. Default: 4, and up to 16 frames that are
   * one MiB together.
   */
  readonly inFlight?: number | undefined;
  /** How long a frame or a flush may take before the device counts as hung. Default 10,000. */
  readonly timeoutMs?: number;
  /**
   * How often a failed device is made to go on, before the encoder fails: after a time-out, a corrupt completion, registers that
   * read as all ones, a codec's error, a lost connection. It is reset; if that does not reach it, and the encoder opened it, it is
   * looked for. What it had not completed is encoded again, the first frame as a key frame. Default 3.
   */
  readonly recover?: number | undefined;
  /** How long to look for a device that is gone, in milliseconds: a model is started again, a server's socket tried, the bus rescanned. Default 30,000. */
  readonly recoverTimeoutMs?: number | undefined;
  /** Takes each chunk, in the order of the frames. The metadata says how to decode them when that has changed. */
  readonly output: (chunk: EncodedChunk, metadata: EncodedChunkMetadata) => void;
  /** Called once when the encoder fails; pending calls reject with the same error. Only close releases the device. */
  readonly error?: (error: Error) => void;
}

/** One compressed frame. */
export interface EncodedChunk {
  readonly type: "key" | "delta";
  /** Microseconds, as submitted with the frame. */
  readonly timestamp: number;
  readonly duration: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** A frame to encode. */
export interface RawFrame {
  /**
   * Exactly width x height in the configured format: bytes, which are copied and may be reused once encode's
   * promise resolves, or the device's own memory, from acquireFrame.
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
  recover: true,
  recoverTimeoutMs: true,
  output: true,
  error: true,
};

/** Options for one frame. */
export interface EncodeOptions {
  /** Make this a key frame. */
  readonly keyFrame?: boolean | undefined;
  /** This frame's quantizer, 0, best, to 63, in place of rate control's choice. */
  readonly vp9?: { readonly quantizer?: number | undefined } | undefined;
}

const encodeOptionNames: Readonly<Record<keyof EncodeOptions, true>> = { keyFrame: true, vp9: true };

/** Checks the options. Throws TypeError, RangeError. */
export function quantizerOf(options: EncodeOptions): number | undefined {
  refuseUnknown("encode's options", options, encodeOptionNames);
  const { vp9 = {} } = options;
  refuseUnknown("encode's option vp9", vp9, { quantizer: true });
  const { quantizer } = vp9;
  if (quantizer !== undefined && !(Number.isInteger(quantizer) && quantizer >= 0 && quantizer <= 63))
    throw new RangeError(`quantizer is ${quantizer}; it must be a whole number from 0 to 63`);
  return quantizer;
}

/**
 * Memory that the device encodes from. Fill `data`, then pass the buffer to encode as the frame's data, once:
 * nothing is copied. From then on the device owns it; configure and close invalidate it.
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

/** What an encoder uses, and what it has done since it was opened. */
export interface EncoderStatistics {
  readonly codec: string;
  readonly path: TransferPath;
  readonly inFlight: number;
  readonly frames: number;
  /** How many of them rate control dropped: they have no chunk. */
  readonly droppedFrames: number;
  /** Time the device's codec worked. */
  readonly deviceUs: number;
  /** Time spent here on taking packets from the device. */
  readonly collectMs: number;
  readonly missedInterrupts: number;
  /** The failures after which the device went on: their messages. */
  readonly recoveries: readonly string[];
}
