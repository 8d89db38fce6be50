/** Writes entries of a submission ring. */
import { EntryBuffer, submissionCheck } from "../contract/check.ts";
import { Opcode, SUBMISSION_BYTES, Submission, SubmitFlag } from "../contract/rings.ts";
import { FLUSH_TAG, type SubmittedFrame } from "./completions.ts";
import type { StreamMemory } from "./stream-memory.ts";

export class SubmissionWriter {
  readonly #entry = new EntryBuffer(SUBMISSION_BYTES);

  /** Writes the entry that follows `count` others: a frame's, or a flush. */
  write(memory: StreamMemory, count: number, submitted: SubmittedFrame, hasCheck: boolean): void {
    const { view, words, bytes } = this.#entry;
    const { tag, forceKey = false, quantizer, bitrateKbps } = submitted;
    const isFrame = tag !== FLUSH_TAG;
    words.fill(0);
    const flags =
      (forceKey ? SubmitFlag.FORCE_KEY : 0) |
      (quantizer === undefined ? 0 : SubmitFlag.QUANTIZER) |
      (bitrateKbps === undefined ? 0 : SubmitFlag.BITRATE) |
      (hasCheck ? SubmitFlag.CHECK : 0);
    view.setUint32(Submission.TAG, tag, true);
    view.setUint32(Submission.OPCODE, isFrame ? Opcode.ENCODE : Opcode.FLUSH, true);
    view.setUint32(Submission.FLAGS, flags, true);
    view.setBigUint64(Submission.PTS, submitted.pts, true);
    if (isFrame) {
      view.setUint32(Submission.QUANTIZER, quantizer ?? 0, true);
      view.setUint32(Submission.BITRATE, bitrateKbps ?? 0, true);
      view.setUint32(Submission.SOURCE_BYTES, memory.frame(tag).byteLength, true);
      setAddress(view, Submission.SOURCE, memory.frameAddress(tag));
      view.setUint32(Submission.OUTPUT_BYTES, memory.packetBytes, true);
      setAddress(view, Submission.OUTPUT, memory.packetAddress(tag));
      view.setUint32(Submission.DURATION, submitted.duration, true);
    }
    if (hasCheck) view.setUint32(Submission.CHECK, submissionCheck(bytes), true);
    const entry = memory.submissionRing + (count % (1 << memory.ringLog2)) * SUBMISSION_BYTES;
    for (let i = 0; i < words.length; i++) memory.write32(entry + 4 * i, words[i]!);
  }
}

function setAddress(view: DataView, offset: number, address: number): void {
  view.setUint32(offset, address >>> 0, true);
  view.setUint32(offset + 4, Math.floor(address / 2 ** 32), true);
}
