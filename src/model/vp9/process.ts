/** Runs the VP9 endpoint's model in this process: messages on a Worker, the codec on the calling thread. */
import { lstatSync, rmSync } from "node:fs";
import { MessageChannel, Worker, type WorkerOptions } from "node:worker_threads";
import { registers } from "../../endpoint/registers.ts";
import { SystemError } from "../../os/errno.ts";
import { EventFd } from "../../os/eventfd.ts";
import type { Fd } from "../../os/fd.ts";
import { listenUnix } from "../../os/socket.ts";
import { packFields } from "../../pci/registers.ts";
import type { CodecName } from "../codec/codec.ts";
import { SHARED_WORDS, SharedWord } from "../codec/jobs.ts";
import { parseFaults } from "./faults.ts";
import type { MessageThreadData, MessageThreadReport } from "./message-thread.ts";

export interface ModelOptions {
  /** Where clients connect; made with mode 0600, removed at the end. Or a connected socket to serve one client on. */
  readonly clients: { readonly socketPath: string } | { readonly connectionFd: number };
  readonly codec: CodecName | "auto";
  /** As parseFaults reads it. */
  readonly faults: string;
  readonly log: (line: string) => void;
}

export interface RunningModel {
  /** The codec's name and version. */
  readonly codec: string;
  /** Resolves when the last client is gone, or after `stop`. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** Starts the model; clients may connect once this resolves. Throws CodecError, SystemError, or Error on bad faults. */
export async function startModel(options: ModelOptions): Promise<RunningModel> {
  const faults = parseFaults(options.faults);
  const { clients } = options;
  const listener = "socketPath" in clients ? listenPrivately(clients.socketPath) : undefined;
  const stop = new EventFd();
  const bell = new EventFd();
  const { port1, port2 } = new MessageChannel();
  const shared = new Int32Array(new SharedArrayBuffer(SHARED_WORDS * 4));
  const data: MessageThreadData = {
    connectionFd: "connectionFd" in clients ? clients.connectionFd : undefined,
    listenerFd: listener?.number,
    stopFd: stop.fd.number,
    bellFd: bell.fd.number,
    codecPort: port2,
    shared,
    faults,
  };
  // Bun's "smol": little lives long there, so it collects early and keeps its memory.
  const threadOptions: WorkerOptions & { smol: boolean } = {
    workerData: data,
    transferList: [port2],
    smol: true,
  };
  const worker = new Worker(new URL("./message-thread.ts", import.meta.url), threadOptions);
  const release = () => {
    port1.close();
    void worker.terminate();
    for (const fd of [stop, bell, listener]) fd?.[Symbol.dispose]();
    if ("socketPath" in clients) rmSync(clients.socketPath, { force: true });
  };
  try {
    // Loaded and opened while the other thread starts.
    const { chooseCodec } = await import("../codec/codec.ts");
    const { serveCodecJobs } = await import("../codec/thread.ts");
    const codec = await chooseCodec(options.codec);
    serveCodecJobs(codec.name, port1, bell, shared);
    Atomics.store(shared, SharedWord.IDENTITY, codecIdentity(codec.name, codec.version));
    Atomics.notify(shared, SharedWord.IDENTITY);
    const ended = new Promise<void>((resolve, reject) => {
      worker.on("message", (report: MessageThreadReport) => {
        if ("log" in report) options.log(report.log);
        else resolve();
      });
      worker.on("error", reject);
      worker.on("exit", () => reject(new Error("the model's message thread ended by itself")));
    }).finally(release);
    return { codec: codec.version, ended, stop: () => stop.signal() };
  } catch (error) {
    release();
    throw error;
  }
}

/** A socket that only this user can connect to, from its first moment on. */
function listenPrivately(path: string): Fd {
  const before = process.umask(0o177);
  try {
    return listenUnix(path);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "EADDRINUSE") throw error;
    const cause = lstatSync(path).isSocket()
      ? `another model serves there, or one that was killed left it; rm ${path} if none does`
      : "there is a file of that name; choose another path";
    throw new Error(`${error.message}: ${cause}`);
  } finally {
    process.umask(before);
  }
}

/** The CODEC register: which engine, and its version as far as it is three numbers. */
function codecIdentity(name: CodecName, version: string): number {
  const ids = registers.CODEC.fields.ID.values;
  const [major = 0, minor = 0, patch = 0] = (/(\d+)\.(\d+)(?:\.(\d+))?/.exec(version)?.slice(1) ?? []).map(
    Number,
  );
  return packFields(registers.CODEC, {
    ID: { libvpx: ids.LIBVPX, webcodecs: ids.WEBCODECS, null: ids.NULL }[name],
    MAJOR: major & 0xff,
    MINOR: minor & 0xff,
    PATCH: patch & 0xff,
  });
}
