/** Parses an entry of a submission ring. */
import { type EntryBuffer, submissionCheck } from "../contract/check.ts";
import { registers } from "../contract/registers.ts";
import { Submission, SubmitFlag } from "../contract/rings.ts";

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
  /** Undefined unless their bits in `flags` are set. */
  readonly quantizer: number | undefined;
  readonly bitrateKbps: number | undefined;
}

export function parseSubmission(entry: DataView): SubmissionEntry {
  const u32 = (offset: number) => entry.getUint32(offset, true);
  const u64 = (offset: number) => entry.getBigUint64(offset, true);
  const flags = u32(Submission.FLAGS);
  return {
    opcode: u32(Submission.OPCODE),
    tag: u32(Submission.TAG),
    flags,
    pts: u64(Submission.PTS),
    duration: u32(Submission.DURATION),
    source: Number(u64(Submission.SOURCE)),
    sourceBytes: u32(Submission.SOURCE_BYTES),
    segments: u32(Submission.SEGMENTS),
    output: Number(u64(Submission.OUTPUT)),
    outputBytes: u32(Submission.OUTPUT_BYTES),
    quantizer: flags & SubmitFlag.QUANTIZER ? u32(Submission.QUANTIZER) : undefined,
    bitrateKbps: flags & SubmitFlag.BITRATE ? u32(Submission.BITRATE) : undefined,
  };
}

const KNOWN_FLAGS = Object.values(SubmitFlag).reduce<number>((all, bit) => all | bit, 0);

/** Whether it is what its CHECK was made of, if it has one. */
export function arrivedWhole({ view, bytes }: EntryBuffer): boolean {
  const hasCheck = (view.getUint32(Submission.FLAGS, true) & SubmitFlag.CHECK) !== 0;
  return !hasCheck || view.getUint32(Submission.CHECK, true) === submissionCheck(bytes);
}

/** Whether its flags are known, and what they announce is in range. */
export function controlsAreValid({ flags, quantizer, bitrateKbps }: SubmissionEntry): boolean {
  const isWithin = ([low, high]: readonly [number, number], value = low) => value >= low && value <= high;
  return (
    (flags & ~KNOWN_FLAGS) === 0 &&
    isWithin(registers.MAX_Q.range, quantizer) &&
    isWithin(registers.BITRATE.range, bitrateKbps)
  );
}
