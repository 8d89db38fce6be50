/** Writes entries of a completion ring. */
import { fence } from "../../os/access.ts";
import { completionCheck, EntryBuffer } from "../contract/check.ts";
import { COMPLETION_BYTES, Completion } from "../contract/rings.ts";
import type { Stream } from "./submissions.ts";

export interface CompletionEntry {
  readonly tag: number;
  readonly status: number;
  readonly flags: number;
  readonly pts: bigint;
  readonly packetBytes: number;
  readonly busyUs: number;
  /** The packet in pieces, for CHECK. */
  readonly packet: readonly Uint8Array[];
  /** An injected fault: changes the entry's bytes on their way. */
  readonly spoil?: (bytes: Uint8Array) => void;
}

const { view: entry, bytes } = new EntryBuffer(COMPLETION_BYTES);

/** Writes the entry that follows `count` others; false if the ring can't be reached. */
export function writeCompletion(
  { memory, completions, entries }: Stream,
  count: number,
  completion: CompletionEntry,
): boolean {
  entry.setUint32(Completion.TAG, completion.tag, true);
  entry.setUint16(Completion.STATUS, completion.status, true);
  entry.setUint16(Completion.FLAGS, completion.flags, true);
  entry.setBigUint64(Completion.PTS, completion.pts, true);
  entry.setUint32(Completion.PACKET_BYTES, completion.packetBytes, true);
  entry.setUint32(Completion.BUSY_US, completion.busyUs, true);
  entry.setUint32(Completion.SEQUENCE, count + 1, true);
  entry.setUint32(Completion.CHECK, completionCheck(bytes, completion.packet), true);
  completion.spoil?.(bytes);
  const slot = completions + (count % entries) * COMPLETION_BYTES;
  const last = Completion.SEQUENCE;
  if (!memory.write(slot, bytes.subarray(0, last))) return false;
  // The sequence number says that the rest is written.
  fence();
  return memory.write(slot + last, bytes.subarray(last));
}
