/** Runs the VP9 endpoint's model in this process: messages on a Worker, the codec on the calling thread. */
import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import { registers } from "../../endpoint/registers.ts";
import { SystemError } from "../../os/errno.ts";
import { EventFd } from "../../os/eventfd.ts";
import type { Fd } from "../../os/fd.ts";
import { listenUnix } from "../../os/socket.ts";
import { packFields } from "../../pci/registers.ts";
import type { CodecName } from "../codec/codec.ts";
import { startHeir } from "../heir.ts";
import { parseFaults } from "./faults.ts";
import type { MessageThreadData, MessageThreadReport } from "./message-thread.ts";
import { startMessageThread } from "./message-worker.ts";

export interface ModelOptions {
  /** Where clients connect; made with mode 0600, removed at the end if it is still ours. Or a connected socket to serve one client on. */
  readonly clients:
    | {
        readonly socketPath: string;
        /** Whether a process goes on answering the client, as a dead device, when this one is killed. */
        readonly heir?: boolean;
      }
    | { readonly connectionFd: number };
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
export async function startModel(
  options: ModelOptions,
  thread = startMessageThread(),
): Promise<RunningModel> {
  const faults = parseFaults(options.faults);
  const { clients } = options;
  const { port1, port2 } = new MessageChannel();
  const cancelled = new Int32Array(new SharedArrayBuffer(4));
  const held = new DisposableStack();
  const release = () => {
    port1.close();
    thread.terminate();
    held.dispose();
  };
  try {
    const listener = "socketPath" in clients ? held.use(listenPrivately(clients.socketPath)) : undefined;
    if ("socketPath" in clients) held.defer(socketRemover(clients.socketPath));
    const program = join(import.meta.dir, "heir-program.ts");
    const heir = "heir" in clients && clients.heir ? held.use(startHeir(program)) : undefined;
    const stop = held.use(new EventFd());
    const bell = held.use(new EventFd());
    // Loaded and opened while the other thread starts.
    const { chooseCodec } = await import("../codec/codec.ts");
    const { serveCodecJobs } = await import("../codec/thread.ts");
    const codec = await chooseCodec(options.codec);
    serveCodecJobs(codec.name, port1, bell, cancelled);
    const data: MessageThreadData = {
      connectionFd: "connectionFd" in clients ? clients.connectionFd : undefined,
      listenerFd: listener?.number,
      heirFd: heir?.number,
      stopFd: stop.fd.number,
      bellFd: bell.fd.number,
      codecPort: port2,
      codecIdentity: codecIdentity(codec.name, codec.version),
      cancelled,
      faults,
    };
    const ended = new Promise<void>((resolve, reject) => {
      thread.onmessage = ({ data: report }: MessageEvent<MessageThreadReport>) => {
        if ("log" in report) options.log(report.log);
        else resolve();
      };
      thread.onerror = (event) => reject(new Error(`the model's message thread failed: ${event.message}`));
      thread.addEventListener("close", () => reject(new Error("the model's message thread ended by itself")));
    }).finally(release);
    thread.postMessage(data, [port2]);
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

/**
 * Removes the socket that lies at a path now, and not another one that has come there meanwhile. To be called while it is
 * still open: until then no other file has its number.
 */
function socketRemover(path: string): () => void {
  const look = () => lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const ours = look();
  return () => {
    const there = look();
    if (there && there.ino === ours?.ino && there.dev === ours.dev) rmSync(path, { force: true });
  };
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
