/** vfiokit as a library. */
import "./os/bun-version.ts";

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
export type { EncoderConfig } from "./encoder/config.ts";
export {
  type EncodedChunk,
  type EncodeOptions,
  Encoder,
  type EncoderOptions,
  type EncoderStatistics,
  type FrameBuffer,
  openEncoder,
  type RawFrame,
} from "./encoder/encoder.ts";
export { EncoderError } from "./encoder/failure.ts";
export { type TransferPath, WindowTooSmall } from "./encoder/memory.ts";
export { encodeFrames } from "./encoder/stream.ts";
export { openRegisters, type RegisterTable } from "./registers/table.ts";
