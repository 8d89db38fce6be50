/** vfiokit/vp9: the VP9 encoder, its driver, and the registers and rings of its interface. */
import "../os/bun-version.ts";
import "../schemes.ts";
import "./globals.ts";

export { DeviceError } from "../device/device.ts";
export {
  DEFAULT,
  INTERFACE_MAJOR,
  INTERFACE_MINOR,
  MAGIC,
  PCI_ID,
  REGISTER_BYTES,
  registers,
  WINDOW_BYTES,
} from "../vp9/contract/registers.ts";
export {
  COMPLETION_BYTES,
  Completion,
  CompletionFlag,
  CompletionStatus,
  completionFields,
  completionStatuses,
  completionStatusName,
  type EntryField,
  Opcode,
  opcodes,
  SEGMENT_BYTES,
  Segment,
  SUBMISSION_BYTES,
  Submission,
  SubmitFlag,
  segmentFields,
  submissionFields,
} from "../vp9/contract/rings.ts";
export type { CompletedFrame } from "../vp9/driver/completions.ts";
export { EndpointDriver } from "../vp9/driver/driver.ts";
export { describeFailure, EncoderError } from "../vp9/driver/failure.ts";
export { type TransferPath, WindowTooSmall } from "../vp9/driver/stream-memory.ts";
export type { StreamSettings } from "../vp9/driver/stream-settings.ts";
export type { ColorSpace, DecoderConfig, EncodedChunkMetadata } from "../vp9/encoder/decoder-config.ts";
export { Encoder } from "../vp9/encoder/encoder.ts";
export type { EncoderConfig } from "../vp9/encoder/encoder-config.ts";
export {
  EncodeFileError,
  type EncodeFileOptions,
  encodeFile,
} from "../vp9/encoder/file.ts";
export { DEFAULT_DEVICE, openEncoder } from "../vp9/encoder/open-encoder.ts";
export {
  type EncodedChunk,
  type EncodeOptions,
  type EncoderOptions,
  type EncoderStatistics,
  FrameBuffer,
  type RawFrame,
} from "../vp9/encoder/options.ts";
export type { EncodeReport, Portions } from "../vp9/encoder/report.ts";
export { encodeFrames } from "../vp9/encoder/stream.ts";
export type { EncoderSupport } from "../vp9/encoder/support.ts";
