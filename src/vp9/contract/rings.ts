/**
 * Entries of the endpoint's rings, as tables like that of the registers: the driver, the model and
 * docs/encoder.md are made from them. Both rings have 2^RING_LOG2 entries; entry n of a stream is at n modulo
 * that. All fields are little-endian.
 */

/** A field of a ring's entry. */
export interface EntryField {
  /** Byte offset in the entry. */
  readonly offset: number;
  readonly bits: 16 | 32 | 64;
  readonly about: string;
}

type EntryTable = Readonly<Record<string, EntryField>>;

function offsets<T extends EntryTable>(table: T): { readonly [F in keyof T]: T[F]["offset"] } {
  const entries = Object.entries(table).map(([name, { offset }]) => [name, offset]);
  return Object.fromEntries(entries) as { readonly [F in keyof T]: T[F]["offset"] };
}

function codes<T extends Readonly<Record<string, { readonly code: number }>>>(
  table: T,
): { readonly [N in keyof T]: T[N]["code"] } {
  const entries = Object.entries(table).map(([name, { code }]) => [name, code]);
  return Object.fromEntries(entries) as { readonly [N in keyof T]: T[N]["code"] };
}

/** Size of a submission. */
export const SUBMISSION_BYTES = 64;
/** The fields of a submission. */
export const submissionFields = {
  TAG: { offset: 0, bits: 32, about: "Returned in the completion" },
  OPCODE: { offset: 4, bits: 32, about: "Operation, see below" },
  FLAGS: {
    offset: 8,
    bits: 32,
    about:
      "Bit 0, FORCE_KEY: make this a key frame. Bit 1, QUANTIZER, bit 2, BITRATE, and bit 3, CHECK: those fields are given",
  },
  SOURCE_BYTES: {
    offset: 12,
    bits: 32,
    about: "Size of the frame in bytes; must be exactly that of the coded size",
  },
  SOURCE: {
    offset: 16,
    bits: 64,
    about: "Address of the frame, or of its segment list if SEGMENTS is not 0",
  },
  SEGMENTS: {
    offset: 24,
    bits: 32,
    about: "Number of entries in the segment list; 0 if the frame is in one piece",
  },
  OUTPUT_BYTES: { offset: 28, bits: 32, about: "Room for the packet, in bytes" },
  OUTPUT: { offset: 32, bits: 64, about: "Address for the packet" },
  PTS: { offset: 40, bits: 64, about: "Presentation time in ticks; must increase from frame to frame" },
  DURATION: { offset: 48, bits: 32, about: "Duration in ticks, 1 or more" },
  QUANTIZER: { offset: 52, bits: 32, about: "This frame's quantizer, 0 to 63, in place of rate control's" },
  BITRATE: { offset: 56, bits: 32, about: "The target from this frame on, as in the register BITRATE" },
  CHECK: {
    offset: 60,
    bits: 32,
    about: "CRC-32 (IEEE 802.3) of the entry's bytes 0 to 59. Interface 1.2",
  },
} as const satisfies EntryTable;
/** Byte offsets in a submission. */
export const Submission = offsets(submissionFields);

/** What each OPCODE of a submission does. */
export const opcodes = {
  ENCODE: { code: 1, about: "Encodes a frame" },
  FLUSH: {
    code: 2,
    about: "Completes once everything before it has completed and the codec holds nothing back",
  },
} as const;
/** Codes of a submission's OPCODE, by name. */
export const Opcode = codes(opcodes);
/** Bits of a submission's FLAGS. */
export const SubmitFlag = { FORCE_KEY: 1, QUANTIZER: 2, BITRATE: 4, CHECK: 8 } as const;

/** Size of an entry of a segment list. */
export const SEGMENT_BYTES = 16;
/** The fields of an entry of a segment list. */
export const segmentFields = {
  ADDRESS: { offset: 0, bits: 64, about: "Address of a piece of the frame" },
  LENGTH: { offset: 8, bits: 32, about: "Bytes in the piece; the pieces add up to the frame" },
} as const satisfies EntryTable;
/** Byte offsets in an entry of a segment list. */
export const Segment = offsets(segmentFields);

/** Size of a completion. */
export const COMPLETION_BYTES = 32;
/** The fields of a completion. */
export const completionFields = {
  TAG: { offset: 0, bits: 32, about: "Copied from the submission" },
  STATUS: { offset: 4, bits: 16, about: "Result, see below" },
  FLAGS: {
    offset: 6,
    bits: 16,
    about: "Bit 0, KEY: the packet is a key frame. Bits 1 and 2, LAYER: its temporal layer, from 0",
  },
  PTS: { offset: 8, bits: 64, about: "Copied from the submission" },
  PACKET_BYTES: { offset: 16, bits: 32, about: "Size of the packet in bytes" },
  BUSY_US: { offset: 20, bits: 32, about: "Microseconds that the codec worked on it" },
  CHECK: {
    offset: 24,
    bits: 32,
    about:
      "CRC-32 (IEEE 802.3) of the packet, then the entry's bytes 0 to 23, then SEQUENCE. Interface 1.2; 0 before",
  },
  SEQUENCE: {
    offset: 28,
    bits: 32,
    about:
      "Number of this completion in the stream, from 1, modulo 2^32. Written last: once it is there, so is the rest",
  },
} as const satisfies EntryTable;
/** Byte offsets in a completion. */
export const Completion = offsets(completionFields);
/** Bits of a completion's FLAGS. */
export const CompletionFlag = { KEY: 1 } as const;
/** The lowest bit of LAYER in a completion's FLAGS, and its mask there. */
export const CompletionLayer = { shift: 1, mask: 3 } as const;

/** What each STATUS of a completion means. */
export const completionStatuses = {
  OK: { code: 0, about: "The packet is at OUTPUT" },
  DROPPED: { code: 1, about: "Rate control dropped the frame; not an error" },
  BAD_DESCRIPTOR: {
    code: 2,
    about:
      "Unknown opcode or flag, too many segments, DURATION 0, a PTS that does not increase, or a QUANTIZER or BITRATE out of range",
  },
  BAD_SOURCE_SIZE: { code: 3, about: "SOURCE_BYTES, or the sum of the segments, is not the size of a frame" },
  SOURCE_FAULT: {
    code: 4,
    about:
      "The frame or its segment list is outside mapped memory (also logged in AER), or outside the window",
  },
  OUTPUT_FAULT: { code: 5, about: "The same for OUTPUT" },
  OUTPUT_TOO_SMALL: { code: 6, about: "The packet of PACKET_BYTES did not fit and is lost" },
  CODEC_FAILED: { code: 7, about: "The codec gave up on the frame" },
  BAD_CHECK: { code: 8, about: "The submission is not what its CHECK was made of" },
} as const;
/** Codes of a completion's STATUS, by name. */
export const CompletionStatus = codes(completionStatuses);

/** A status by name, for messages. */
export function completionStatusName(status: number): string {
  for (const [name, code] of Object.entries(CompletionStatus)) if (code === status) return name;
  return `unknown status ${status}`;
}
