/**
 * Entries of the endpoint's rings. Both rings have 2^RING_LOG2 entries; entry n of a stream lies at n modulo that.
 * Every field is little-endian; reserved bytes are 0.
 */

/** Submission entry, 64 bytes. Byte offsets. */
export const Submission = {
  BYTES: 64,
  /** u32: comes back in the completion. */
  TAG: 0,
  /** u32: see Opcode. */
  OPCODE: 4,
  /** u32: see SubmitFlag. */
  FLAGS: 8,
  /** u32: bytes of the frame, exactly those of the coded size. */
  SOURCE_BYTES: 12,
  /** u64: the frame, or its segment list when SEGMENTS is not 0. */
  SOURCE: 16,
  /** u32: entries of the segment list; 0: the frame lies in one piece at SOURCE. */
  SEGMENTS: 24,
  /** u32: room for the packet. */
  OUTPUT_BYTES: 28,
  /** u64: where the packet goes. */
  OUTPUT: 32,
  /** u64: presentation time in time base units; must rise from frame to frame. */
  PTS: 40,
  /** u32: duration in time base units, 1 or more. */
  DURATION: 48,
} as const;

/** ENCODE takes a frame. FLUSH completes when everything before it has and the codec holds nothing back. */
export const Opcode = { ENCODE: 1, FLUSH: 2 } as const;

/** FORCE_KEY makes this a key frame. */
export const SubmitFlag = { FORCE_KEY: 1 } as const;

/** Segment of a frame's list, 16 bytes: u64 address, u32 bytes, u32 reserved. */
export const Segment = { BYTES: 16, ADDRESS: 0, LENGTH: 8 } as const;

/** Completion entry, 32 bytes. Byte offsets. */
export const Completion = {
  BYTES: 32,
  /** u32: that of the submission. */
  TAG: 0,
  /** u16: see CompletionStatus. */
  STATUS: 4,
  /** u16: see CompletionFlag. */
  FLAGS: 6,
  /** u64: that of the submission. */
  PTS: 8,
  /** u32: bytes of the packet. */
  PACKET_BYTES: 16,
  /** u32: microseconds the codec worked on it. */
  BUSY_US: 20,
  /** u32: reserved. */
  RESERVED: 24,
  /** u32: number of this completion in the stream, from 1, modulo 2^32; written last, so it says that the rest is there. */
  SEQUENCE: 28,
} as const;

export const CompletionFlag = { KEY: 1 } as const;

/** Why a frame gave no packet; OK otherwise. */
export const CompletionStatus = {
  OK: 0,
  /** Rate control left the frame out; no error. */
  DROPPED: 1,
  /** An opcode, flag or reserved field that the endpoint does not know, or a time that does not rise. */
  BAD_DESCRIPTOR: 2,
  /** SOURCE_BYTES or the segments' sum is not the size of a frame. */
  BAD_SOURCE_SIZE: 3,
  /** The frame or its segment list lies outside mapped memory (also logged in AER), or the window. */
  SOURCE_FAULT: 4,
  /** The same of the packet's place. */
  OUTPUT_FAULT: 5,
  /** The packet is PACKET_BYTES long and did not fit; it is lost, and the stream goes on without it. */
  OUTPUT_TOO_SMALL: 6,
  /** The codec gave up on the frame. */
  CODEC_FAILED: 7,
  /** Bus mastering is off. */
  BUS_MASTER_OFF: 8,
} as const;

/** A status by name, for messages. */
export function completionStatusName(status: number): string {
  for (const [name, code] of Object.entries(CompletionStatus)) if (code === status) return name;
  return `unknown status ${status}`;
}
