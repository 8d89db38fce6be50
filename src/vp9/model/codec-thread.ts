/**
 * A codec thread: a Worker, because a codec blocks its thread while it works. Its jobs come from the message
 * thread.
 */
import { EventFd } from "../../os/eventfd.ts";
import { Fd } from "../../os/fd.ts";
import type { CodecChannel } from "../codec/channel.ts";
import { type CodecName, chooseCodec, loadEngine } from "../codec/codec.ts";
import { serveCodecJobs } from "../codec/thread.ts";

/** The first message to the thread. */
export interface CodecThreadData {
  readonly codec: CodecName | "auto";
  readonly channel: CodecChannel;
  /** This thread's descriptor of the eventfd to signal when results wait. The starting thread closes it when this one has ended. */
  readonly bellFd: number;
}

/** Its answers: progress lines, then the codec that it found, or why there is none. */
export type CodecThreadReport =
  | { readonly notice: string }
  | { readonly name: CodecName; readonly version: string }
  | { readonly error: string };

declare const self: Worker;

const report = (message: CodecThreadReport) => self.postMessage(message);

self.onmessage = async ({ data }: MessageEvent<CodecThreadData>) => {
  try {
    const { name, version } = await chooseCodec(data.codec, (notice) => report({ notice }));
    report({ name, version });
    // The driver sets the device up in this time, and then waits until the stream is open.
    (await loadEngine(name)).warmUp?.();
    await serveCodecJobs(name, data.channel, new EventFd(new Fd(data.bellFd)));
  } catch (error) {
    report({ error: error instanceof Error ? error.message : String(error) });
    // The report is sent when the event loop turns.
    await Bun.sleep(0);
  }
  process.exit();
};
