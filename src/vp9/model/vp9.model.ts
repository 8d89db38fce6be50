/**
 * `model:vp9`: what each of the model's threads loads, and its codec threads, which run beside the message
 * thread.
 */

import type { ModelDefinition, PreparedModel } from "../../model/definition.ts";
import { parseFaults } from "../../model/fault-injection.ts";
import { startThread } from "../../model/hosting/workers.ts";
import { ownFile } from "../../os/bun-program.ts";
import { EventFd } from "../../os/eventfd.ts";
import { Fd } from "../../os/fd.ts";
import { type CodecChannel, codecChannel } from "../codec/channel.ts";
import type { CodecName } from "../codec/engine.ts";
import { REGISTER_BYTES, WINDOW_BYTES } from "../contract/registers.ts";
import type { CodecThreadData, CodecThreadReport } from "./codec-thread.ts";
import { type EndpointFault, faultKinds } from "./faults.ts";

/** Data for the message thread. */
interface EndpointData {
  /** Eventfd that a codec thread rings when results wait. */
  readonly bellFd: number;
  /** To the codec thread that is already running. */
  readonly codec: CodecChannel;
  readonly codecName: CodecName;
  readonly codecVersion: string;
  readonly faults: readonly EndpointFault[];
}

const definition: ModelDefinition<EndpointData> = {
  title: "VP9 encoder endpoint",
  options: ["codec", "fault"],
  async remains() {
    const { endpointConfigSpace } = await import("./identity.ts");
    return { config: endpointConfigSpace(), msiVectors: 1, barBytes: [REGISTER_BYTES, WINDOW_BYTES] };
  },

  async prepare({ options, notice, fail }) {
    const threads = new Set<Worker>();
    const held = new DisposableStack();
    held.defer(() => {
      for (const thread of threads) thread.terminate();
    });
    const start = () => {
      const thread = startThread(ownFile("./codec-thread.ts", import.meta.url));
      threads.add(thread);
      thread.addEventListener("close", () => threads.delete(thread));
      return thread;
    };
    try {
      const thread = start();
      const faults = parseFaults(options.get("fault") ?? "", faultKinds);
      const bellFd = held.use(new EventFd()).fd.number;
      const { ours, theirs } = codecChannel();
      const codec = (options.get("codec") ?? "auto") as CodecName | "auto";
      const { name, version } = await begin(thread, { codec, channel: theirs, bellFd }, fail, notice);
      const data = { bellFd, codec: ours, codecName: name, codecVersion: version, faults };
      const prepared: PreparedModel<EndpointData> = {
        about: version,
        data,
        transfer: [ours.port],
        // Starts another codec thread, which takes its jobs from this channel.
        onAsk: (channel) =>
          void begin(start(), { codec: name, channel: channel as CodecChannel, bellFd }, fail).catch(fail),
        release: () => held.dispose(),
      };
      return prepared;
    } catch (error) {
      held.dispose();
      throw error;
    }
  },

  async load() {
    const [{ Vp9Endpoint }, { CodecPool }, { codecIdentity }] = await Promise.all([
      import("./endpoint.ts"),
      import("../codec/pool.ts"),
      import("./codec-identity.ts"),
    ]);
    return (host, { bellFd, codec, codecName, codecVersion, faults }, ask) => {
      const bell = new EventFd(new Fd(bellFd));
      const pool = new CodecPool(codecIdentity(codecName, codecVersion), bell, codec, () => {
        const { ours, theirs } = codecChannel();
        ask(theirs, [theirs.port]);
        return ours;
      });
      return new Vp9Endpoint(host, pool, faults);
    };
  },
};

export default definition;

/**
 * Sets up a codec thread; resolves to the codec that it found. Rejects with Error if it has none. `fail` is
 * called if the thread fails, also later; `notice` with what it fetches first.
 */
function begin(
  thread: Worker,
  data: CodecThreadData,
  fail: (error: Error) => void,
  notice: (line: string) => void = () => {},
): Promise<{ name: CodecName; version: string }> {
  return new Promise((resolve, reject) => {
    thread.onmessage = ({ data: report }: MessageEvent<CodecThreadReport>) => {
      if ("notice" in report) notice(report.notice);
      else if ("error" in report) reject(new Error(report.error));
      else resolve(report);
    };
    thread.onerror = (event) => {
      const error = new Error(`a codec thread failed: ${event.message}`);
      reject(error);
      fail(error);
    };
    thread.postMessage(data, [data.channel.port]);
  });
}
