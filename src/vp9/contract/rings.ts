/**
 * Entries of the endpoint's rings, as tables like that of the registers: the driver, the model and docs/encoder.md are
 * made from them. Both rings have 2^RING_LOG2 entries; entry n of a stream lies at n modulo that. All fields are
 * little-endian.
 */

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

export const SUBMISSION_BYTES = 64;
export const submissionFields = {
  TAG: { offset: 0, bits: 32, about: "Comes back in the completion" },
  OPCODE: { offset: 4, bits: 32, about: "What to do, see below" },
  FLAGS: { offset: 8, bits: 32, about: "Bit 0, FORCE_KEY: make this a key frame" },
  SOURCE_BYTES: { offset: 12, bits: 32, about: "Bytes of the frame: exactly those of the coded size" },
  SOURCE: {
    offset: 16,
    bits: 64,
    about: "Address of the frame, or of its segment list where SEGMENTS is not 0",
  },
  SEGMENTS: { offset: 24, bits: 32, about: "Entries of the segment list; 0: the frame lies in one piece" },
  OUTPUT_BYTES: { offset: 28, bits: 32, about: "Room for the packet" },
  OUTPUT: { offset: 32, bits: 64, about: "Address where the packet goes" },
  PTS: { offset: 40, bits: 64, about: "Presentation time in ticks; must rise from frame to frame" },
  DURATION: { offset: 48, bits: 32, about: "Duration in ticks, 1 or more" },
} as const satisfies EntryTable;
/** Byte offsets in a submission. */
export const Submission = offsets(submissionFields);

export const opcodes = {
  ENCODE: { code: 1, about: "Encodes a frame" },
  FLUSH: { code: 2, about: "Completes when everything before it has, and the codec holds nothing back" },
} as const;
export const Opcode = codes(opcodes);
export const SubmitFlag = { FORCE_KEY: 1 } as const;

export const SEGMENT_BYTES = 16;
export const segmentFields = {
  ADDRESS: { offset: 0, bits: 64, about: "Address of a piece of the frame" },
  LENGTH: { offset: 8, bits: 32, about: "Its bytes; those of all pieces add up to the frame's" },
} as const satisfies EntryTable;
/** Byte offsets in an entry of a segment list. */
export const Segment = offsets(segmentFields);

export const COMPLETION_BYTES = 32;
export const completionFields = {
  TAG: { offset: 0, bits: 32, about: "That of the submission" },
  STATUS: { offset: 4, bits: 16, about: "What became of it, see below" },
  FLAGS: { offset: 6, bits: 16, about: "Bit 0, KEY: the packet is a key frame" },
  PTS: { offset: 8, bits: 64, about: "That of the submission" },
  PACKET_BYTES: { offset: 16, bits: 32, about: "Bytes of the packet" },
  BUSY_US: { offset: 20, bits: 32, about: "Microseconds the codec worked on it" },
  SEQUENCE: {
    offset: 28,
    bits: 32,
    about:
      "Number of this completion in the stream, from 1, modulo 2^32. Written last: it says that the rest is there",
  },
} as const satisfies EntryTable;
/** Byte offsets in a completion. */
export const Completion = offsets(completionFields);
export const CompletionFlag = { KEY: 1 } as const;

export const completionStatuses = {
  OK: { code: 0, about: "The packet is at OUTPUT" },
  DROPPED: { code: 1, about: "Rate control left the frame out; no error" },
  BAD_DESCRIPTOR: {
    code: 2,
    about: "An opcode, a flag or a count that the endpoint does not know, or a time that does not rise",
  },
  BAD_SOURCE_SIZE: { code: 3, about: "SOURCE_BYTES, or the sum of the segments, is not the size of a frame" },
  SOURCE_FAULT: {
    code: 4,
    about:
      "The frame or its segment list lies outside mapped memory (also logged in AER), or outside the window",
  },
  OUTPUT_FAULT: { code: 5, about: "The same of the packet's place" },
  OUTPUT_TOO_SMALL: { code: 6, about: "The packet has PACKET_BYTES and did not fit; it is lost" },
  CODEC_FAILED: { code: 7, about: "The codec gave up on the frame" },
} as const;
export const CompletionStatus = codes(completionStatuses);

/** A status by name, for messages. */
export function completionStatusName(status: number): string {
  for (const [name, code] of Object.entries(CompletionStatus)) if (code === status) return name;
  return `unknown status ${status}`;
}
