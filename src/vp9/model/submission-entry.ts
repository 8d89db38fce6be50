/** Parses an entry of a submission ring. */
import { Submission } from "../contract/rings.ts";

export interface SubmissionEntry {
  readonly opcode: number;
  readonly tag: number;
  readonly flags: number;
  readonly pts: bigint;
  readonly duration: number;
  /** Addresses beyond 2^53 lose precision, but no memory has them. */
  readonly source: number;
  readonly sourceBytes: number;
  readonly segments: number;
  readonly output: number;
  readonly outputBytes: number;
}

export function parseSubmission(entry: DataView): SubmissionEntry {
  const u32 = (offset: number) => entry.getUint32(offset, true);
  const u64 = (offset: number) => entry.getBigUint64(offset, true);
  return {
    opcode: u32(Submission.OPCODE),
    tag: u32(Submission.TAG),
    flags: u32(Submission.FLAGS),
    pts: u64(Submission.PTS),
    duration: u32(Submission.DURATION),
    source: Number(u64(Submission.SOURCE)),
    sourceBytes: u32(Submission.SOURCE_BYTES),
    segments: u32(Submission.SEGMENTS),
    output: Number(u64(Submission.OUTPUT)),
    outputBytes: u32(Submission.OUTPUT_BYTES),
  };
}
