/**
 * Runs the VP9 endpoint's model in this process: messages on a Worker, the codec on others. The calling thread waits for
 * neither, so that it hears of signals whatever they do.
 */
import { join } from "node:path";
import { Heir, startHeir } from "../../model/heir.ts";
import { listenPrivately } from "../../model/private-socket.ts";
import { EventFd } from "../../os/eventfd.ts";
import { packFields } from "../../registers/table.ts";
import type { CodecName } from "../codec/codec.ts";
import { codecChannel } from "../codec/pool.ts";
import { registers } from "../contract/registers.ts";
import type { CodecThreadData, CodecThreadReport } from "./codec-thread.ts";
import { parseFaults } from "./faults.ts";
import type { MessageThreadData, MessageThreadReport } from "./message-thread.ts";
import { startCodecThread, startThreads } from "./workers.ts";

/** How clients come. */
export type Clients =
  /** Through a connected socket: one. */
  | { readonly connectionFd: number }
  /** Through a listening one, one after the other; of its own (listenPrivately), or of the starting process. */
  | (({ readonly socketPath: string } | { readonly listenerFd: number }) & {
      /** Whether a process goes on answering the client, as a dead device, when this one is killed. */
      readonly heir?: boolean;
    });

export interface ModelOptions {
  readonly clients: Clients;
  /** Whether memory of clients is mapped that they can truncate, which kills this process: see DmaTable. */
  readonly trusting?: boolean;
  readonly codec: CodecName | "auto";
  /** As parseFaults reads it. */
  readonly faults: string;
  readonly log: (line: string) => void;
  /** Is told, in one line each, what is fetched first, and what a slower codec than libvpx costs. */
  readonly notice?: (line: string) => void;
}

export interface RunningModel {
  /** The codec's name and version. */
  readonly codec: string;
  /** Resolves when the last client is gone, or after `stop`. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** A model that has not ended so long after it was told to is left as it is. */
const STOP_MS = 1500;

/** Starts the model; clients may connect once this resolves. Throws SystemError, or Error: no codec, bad faults. */
export async function startModel(
  options: ModelOptions,
  { messages, codec } = startThreads(),
): Promise<RunningModel> {
  const { clients } = options;
  const threads = new Set([messages, codec]);
  const held = new DisposableStack();
  const release = () => {
    for (const thread of threads) thread.terminate();
    held.dispose();
  };
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<void>();
  ended.catch(() => {}); // who waits for it hears of it; nobody may while the model starts
  try {
    const faults = parseFaults(options.faults);
    const program = join(import.meta.dir, "heir-program.ts");
    const heir = "heir" in clients && clients.heir ? held.use(startHeir(program)) : undefined;
    const stop = held.use(new EventFd());
    const bell = held.use(new EventFd());
    const bellFd = bell.fd.number;
    const { ours, theirs } = codecChannel();
    const first: CodecThreadData = { codec: options.codec, channel: theirs, bellFd };
    const { name, version } = await begin(codec, first, fail, options.notice);
    // From here on nothing waits, so whoever ends this process before leaves no socket behind.
    const listenerFd =
      "socketPath" in clients
        ? held.use(listenPrivately(clients.socketPath)).fd.number
        : "listenerFd" in clients
          ? clients.listenerFd
          : undefined;
    const data: MessageThreadData = {
      connectionFd: "connectionFd" in clients ? clients.connectionFd : undefined,
      listenerFd,
      heirFd: heir?.number,
      stopFd: stop.fd.number,
      bellFd,
      codec: ours,
      codecIdentity: codecIdentity(name, version),
      trusting: options.trusting ?? false,
      faults,
    };
    messages.onmessage = ({ data: report }: MessageEvent<MessageThreadReport>) => {
      if ("log" in report) options.log(report.log);
      else if ("ended" in report) end();
      else {
        const another = startCodecThread();
        threads.add(another);
        another.addEventListener("close", () => threads.delete(another));
        begin(another, { codec: name, channel: report.channel, bellFd }, fail).catch(fail);
      }
    };
    messages.onerror = (event) => fail(new Error(`the model's message thread failed: ${event.message}`));
    messages.addEventListener("close", () => fail(new Error("the model's message thread ended by itself")));
    messages.postMessage(data, [ours.port]);
    return {
      codec: version,
      ended: ended.finally(release),
      stop: () => {
        stop.signal();
        setTimeout(() => {
          // It waits for a client that stopped in the middle of a message, and the heir must not go on in its place.
          if (heir) new Heir(heir, options.log).drop();
          end();
        }, STOP_MS).unref();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

/**
 * Tells a codec thread what to do; gives the codec that it found. Rejects with Error where it has none; `fail` is told
 * whatever ends it later, `notice` what it fetches first.
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

/** The CODEC register: which engine, and its version as far as it is three numbers. */
function codecIdentity(name: CodecName, version: string): number {
  const ids = registers.CODEC.fields.ID.values;
  const [major = 0, minor = 0, patch = 0] = (/(\d+)\.(\d+)(?:\.(\d+))?/.exec(version)?.slice(1) ?? []).map(
    Number,
  );
  return packFields(registers.CODEC, {
    ID: { libvpx: ids.LIBVPX, debian: ids.LIBVPX, "libav.js": ids["LIBAV.JS"], null: ids.NULL }[name],
    MAJOR: major & 0xff,
    MINOR: minor & 0xff,
    PATCH: patch & 0xff,
  });
}
