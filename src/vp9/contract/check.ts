/** CHECK of a ring's entry (CRC-32 of IEEE 802.3): what is in a ring, and the packet, arrived as it was written. */
import { COMPLETION_BYTES, Completion, type SUBMISSION_BYTES, Submission } from "./rings.ts";

const CRC = Bun.hash.crc32;

/** The CHECK of a submission of SUBMISSION_BYTES: over all bytes before it. */
export function submissionCheck(entry: Uint8Array): number {
  return CRC(entry.subarray(0, Submission.CHECK)) >>> 0;
}

/** The CHECK of a completion of COMPLETION_BYTES: over its packet in pieces, the entry before CHECK, and SEQUENCE. */
export function completionCheck(entry: Uint8Array, packet: readonly Uint8Array[]): number {
  const beforeEntry = packet.reduce((sum, piece) => CRC(piece, sum), 0);
  const beforeSequence = CRC(entry.subarray(0, Completion.CHECK), beforeEntry);
  return CRC(entry.subarray(Completion.SEQUENCE, COMPLETION_BYTES), beforeSequence) >>> 0;
}

/** An entry of a ring as bytes and as the words that rings are accessed in. */
export class EntryBuffer {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;

  constructor(sizeBytes: typeof SUBMISSION_BYTES | typeof COMPLETION_BYTES) {
    const buffer = new ArrayBuffer(sizeBytes);
    this.words = new Uint32Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
  }
}
