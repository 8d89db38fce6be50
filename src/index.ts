/** vfiokit as a library. */
import "./exports/globals.ts";
import "./os/bun-version.ts";
import "./schemes.ts";

export {
  type ConfigSpace,
  DeviceError,
  type DmaMemory,
  type DmaOptions,
  type Interrupt,
  type InterruptKind,
  type OpenOptions,
  type PciDevice,
  type Region,
} from "./device/device.ts";
export { openDevice } from "./device/open.ts";
export { openRegisters } from "./registers/access.ts";
export type { RegisterTable } from "./registers/table.ts";
export type { Remedy } from "./remedy/remedy.ts";
export { EncoderError } from "./vp9/driver/failure.ts";
export { type TransferPath, WindowTooSmall } from "./vp9/driver/stream-memory.ts";
export type { ColorSpace, DecoderConfig, EncodedChunkMetadata } from "./vp9/encoder/decoder-config.ts";
export { Encoder } from "./vp9/encoder/encoder.ts";
export type { EncoderConfig } from "./vp9/encoder/encoder-config.ts";
export { openEncoder } from "./vp9/encoder/open-encoder.ts";
export type {
  EncodedChunk,
  EncodeOptions,
  EncoderOptions,
  EncoderStatistics,
  FrameBuffer,
  RawFrame,
} from "./vp9/encoder/options.ts";
export { encodeFrames } from "./vp9/encoder/stream.ts";
export type { EncoderSupport } from "./vp9/encoder/support.ts";
