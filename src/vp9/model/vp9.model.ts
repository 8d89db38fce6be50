/**
 * `model:vp9`: what each of the model's threads loads, and its codec threads, which run beside the message
 * thread.
 */

import { defineModel } from "../../model/define-model.ts";
import type { PreparedModel } from "../../model/definition.ts";
import { startThread } from "../../model/hosting/workers.ts";
import { ownFile } from "../../os/bun-program.ts";
import { EventFd } from "../../os/eventfd.ts";
import { duplicateFd, Fd } from "../../os/fd.ts";
import { type CodecChannel, codecChannel, endThread } from "../codec/channel.ts";
import type { CodecName } from "../codec/engine.ts";
import { PCI_ID, REGISTER_BYTES, registers, WINDOW_BYTES } from "../contract/registers.ts";
import type { CodecThreadData, CodecThreadReport } from "./codec-thread.ts";
import { faultKinds } from "./faults.ts";

/** Data for the message thread. */
interface EndpointData {
  /** Eventfd that a codec thread rings when results wait. */
  readonly bellFd: number;
  /** To the codec thread that is already running. */
  readonly codec: CodecChannel;
  readonly codecName: CodecName;
  readonly codecVersion: string;
}

interface StartedThread {
  readonly thread: Worker;
  readonly ended: Promise<void>;
  /** The thread's own descriptor of the bell. */
  readonly bellFd: number;
}

type ChosenCodec = Omit<CodecThreadData, "bellFd">;

export default defineModel({
  title: "VP9 encoder endpoint",
  id: { ...PCI_ID, classCode: 0x058000 },
  bars: [{ registers, sizeBytes: REGISTER_BYTES }, { memoryBytes: WINDOW_BYTES }],
  options: ["codec"],
  faults: faultKinds,

  async prepare({ options, notice, fail }): Promise<PreparedModel<EndpointData>> {
    /** With the channels of those that take jobs. */
    const threads = new Map<StartedThread, CodecChannel | undefined>();
    const held = new DisposableStack();
    held.defer(() => {
      for (const [{ thread }, channel] of threads) {
        // One that is working must not keep the process.
        thread.unref();
        if (channel) endThread(channel);
        else thread.terminate();
      }
    });
    const bellFd = held.use(new EventFd()).fd.number;
    const start = (): StartedThread => {
      const thread = startThread(ownFile("./codec-thread.ts", import.meta.url));
      // A thread may ring when the device is closed already: it has a descriptor of its own, until it ends.
      const bell = duplicateFd(bellFd);
      const { promise: ended, resolve } = Promise.withResolvers<void>();
      const started = { thread, ended, bellFd: bell.number };
      threads.set(started, undefined);
      thread.addEventListener("close", () => {
        threads.delete(started);
        bell[Symbol.dispose]();
        resolve();
      });
      return started;
    };
    const begin = async (started: StartedThread, data: ChosenCodec, told = (_: string) => {}) => {
      const found = await beginJobs(started, data, fail, told);
      if (threads.has(started)) threads.set(started, data.channel);
      return found;
    };
    try {
      const first = start();
      const { ours, theirs } = codecChannel();
      const codec = (options.get("codec") ?? "auto") as CodecName | "auto";
      const { name, version } = await begin(first, { codec, channel: theirs }, notice);
      const data = { bellFd, codec: ours, codecName: name, codecVersion: version };
      return {
        about: version,
        data,
        transfer: [ours.port],
        // Starts another codec thread, which takes its jobs from this channel.
        onAsk: (channel) =>
          void begin(start(), { codec: name, channel: channel as CodecChannel }).catch(fail),
        release: async () => {
          held.dispose();
          await Promise.all([...threads.keys()].map(({ ended }) => ended));
        },
      };
    } catch (error) {
      held.dispose();
      throw error;
    }
  },

  async load() {
    const [{ CodecWork, Vp9Endpoint }, { CodecPool }, { codecIdentity }] = await Promise.all([
      import("./endpoint.ts"),
      import("../codec/pool.ts"),
      import("./codec-identity.ts"),
    ]);
    return (device, { bellFd, codec, codecName, codecVersion }, ask) => {
      const startThread = () => {
        const { ours, theirs } = codecChannel();
        ask(theirs, [theirs.port]);
        return ours;
      };
      const identity = codecIdentity(codecName, codecVersion);
      const work = device.keep(
        () => new CodecWork(new CodecPool(identity, new EventFd(new Fd(bellFd)), codec, startThread)),
      );
      return new Vp9Endpoint(device, work).handlers;
    };
  },
});

/**
 * Sets up a codec thread; resolves to the codec that it found. Rejects with Error if it has none. `fail` is
 * called if the thread fails, also later; `notice` with what it fetches first.
 */
function beginJobs(
  { thread, bellFd }: StartedThread,
  data: ChosenCodec,
  fail: (error: Error) => void,
  notice: (line: string) => void = () => {},
): Promise<{ name: CodecName; version: string }> {
  let hasBegun = false;
  return new Promise((resolve, reject) => {
    thread.onmessage = ({ data: report }: MessageEvent<CodecThreadReport>) => {
      if ("notice" in report) notice(report.notice);
      else if ("error" in report) {
        const error = new Error(report.error);
        reject(error);
        if (hasBegun) fail(error);
      } else {
        hasBegun = true;
        resolve(report);
      }
    };
    thread.onerror = (event) => {
      const error = new Error(`a codec thread failed: ${event.message}`);
      reject(error);
      fail(error);
    };
    thread.postMessage({ ...data, bellFd } satisfies CodecThreadData, [data.channel.port]);
  });
}
