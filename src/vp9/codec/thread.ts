/** Runs the message thread's jobs on a codec thread, one after the other. */

import { ptr } from "bun:ffi";
import { receiveMessageOnPort } from "node:worker_threads";
import type { EventFd } from "../../os/eventfd.ts";
import { copyMemory } from "../../os/memory.ts";
import { type CodecChannel, Shared } from "./channel.ts";
import { type Codec, type CodecName, type CodecPacket, openCodec } from "./codec.ts";
import type { CodecJob, CodecResult } from "./jobs.ts";

/** How long the thread sleeps at a time while it has no job. */
const SLEEP_MS = 1000;

/**
 * Runs jobs until it is told to end (Shared.ENDED). The thread sleeps in Atomics.wait while it has none, and takes the next one
 * itself when it has finished one: waking an event loop for each frame costs as much as encoding a small one.
 */
export async function serveCodecJobs(
  name: CodecName,
  { port, shared }: CodecChannel,
  bell: EventFd,
): Promise<void> {
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
    if (Atomics.exchange(shared, Shared.RUNG, 1) === 0) bell.signal();
  };

  for (;;) {
    // Read before looking: a job that comes in between ends the sleep at once.
    const posted = Atomics.load(shared, Shared.POSTED);
    if (Atomics.load(shared, Shared.ENDED) === 1) break;
    const received = receiveMessageOnPort(port) as { message: CodecJob } | undefined;
    if (!received) {
      const woken = Atomics.wait(shared, Shared.POSTED, posted, SLEEP_MS);
      // The event loop has a turn now and then, too.
      if (woken === "timed-out") await Bun.sleep(0);
    } else await carryOut(received.message);
  }
  // Its memory is not Bun's, so it would stay when the thread ends.
  codec?.[Symbol.dispose]();
}
