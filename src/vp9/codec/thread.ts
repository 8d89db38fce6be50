/** Runs the message thread's jobs on a codec thread, one after the other. */

import { ptr } from "bun:ffi";
import type { EventFd } from "../../os/eventfd.ts";
import { copyMemory } from "../../os/memory.ts";
import { type CodecChannel, Shared } from "./channel.ts";
import { type Codec, type CodecName, type CodecPacket, openCodec } from "./codec.ts";
import type { CodecJob, CodecOrder, CodecResult } from "./jobs.ts";

/** Runs jobs, and calls `end` when it receives "end". */
export function serveCodecJobs(
  name: CodecName,
  { port, shared }: CodecChannel,
  bell: EventFd,
  end: () => void,
): void {
  let codec: Codec | undefined;
  let frame = new Uint8Array(new ArrayBuffer(0));

  /** A frame in one piece is encoded in place; one in several pieces is gathered first. */
  const gather = (pieces: Float64Array): { address: number; sizeBytes: number } => {
    if (pieces.length === 2) return { address: pieces[0]!, sizeBytes: pieces[1]! };
    let sizeBytes = 0;
    for (let i = 1; i < pieces.length; i += 2) sizeBytes += pieces[i]!;
    if (frame.byteLength !== sizeBytes) frame = new Uint8Array(new ArrayBuffer(sizeBytes));
    const address = ptr(frame);
    let done = 0;
    for (let i = 0; i < pieces.length; i += 2) {
      copyMemory(address + done, pieces[i]!, pieces[i + 1]!);
      done += pieces[i + 1]!;
    }
    return { address, sizeBytes };
  };

  const work = async (job: CodecJob): Promise<readonly CodecPacket[]> => {
    Atomics.store(shared, Shared.BEGUN, job.id);
    if (job.id < Atomics.load(shared, Shared.CANCELLED)) return [];
    if (job.kind === "close" || job.kind === "open") {
      codec?.[Symbol.dispose]();
      codec = undefined;
      if (job.kind === "open") codec = await openCodec(name, job.settings);
      return [];
    }
    if (!codec) throw new Error("no codec is open");
    if (job.kind === "flush") return codec.flush();
    return codec.encode({
      ...gather(job.pieces),
      pts: job.pts,
      duration: job.duration,
      forceKey: job.forceKey,
      quantizer: job.quantizer,
      bitrateKbps: job.bitrateKbps,
    });
  };

  const carryOut = async (job: CodecJob) => {
    const startedNs = Bun.nanoseconds();
    let packets: readonly CodecPacket[] = [];
    let error: string | undefined;
    try {
      packets = await work(job);
    } catch (cause) {
      error = cause instanceof Error ? cause.message : String(cause);
      // A register has no room for the reason.
      if (job.kind === "open") console.error(`model:vp9: ${error}`);
    }
    const busyUs = Math.round((Bun.nanoseconds() - startedNs) / 1000);
    const result: CodecResult = { id: job.id, packets, busyUs, ...(error === undefined ? {} : { error }) };
    port.postMessage(
      result,
      packets.map((packet) => packet.data.buffer as ArrayBuffer),
    );
    bell.signal();
  };

  let last = Promise.resolve();
  port.onmessage = ({ data }: { data: CodecOrder }) => {
    last = last.then(() => (data.kind === "end" ? end() : carryOut(data)));
  };
}
