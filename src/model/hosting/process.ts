/**
 * Runs a device model in this process: messages on a Worker, slow work on others. The calling thread never
 * blocks on them, so it always receives signals.
 */
import { EventFd } from "../../os/eventfd.ts";
import { within } from "../../os/within.ts";
import { loadDefinition, type PreparedModel } from "../definition.ts";
import type { ModelLog } from "../device-model.ts";
import { START_MS, STOP_MS } from "../limits.ts";
import { type ModelSpec, optionMistake } from "../models.ts";
import type { MessageThreadData, MessageThreadReport } from "./message-thread.ts";
import { listenPrivately } from "./private-socket.ts";
import { Standby, startStandby } from "./standby.ts";
import { startMessageThread } from "./workers.ts";

/** Where clients connect. */
export type ClientSource =
  /** One client, on a connected socket. */
  | { readonly connectionFd: number }
  /** One client after another, on a listening socket: its own (listenPrivately), or the starting process's. */
  | (({ readonly socketPath: string } | { readonly listenerFd: number }) & {
      /** Whether a standby answers the client, as a dead device, after this process is killed. */
      readonly standby?: boolean;
    });

/** Options for `startModel`. */
export interface StartOptions {
  readonly model: Pick<ModelSpec, "file" | "query">;
  readonly clients: ClientSource;
  /** Whether to map clients' memory that they can truncate, which kills this process: see DmaTable. */
  readonly trusting?: boolean;
  readonly log: ModelLog;
  /** Gets one line about each thing that delays the start, or works worse than it could. */
  readonly notice?: (line: string) => void;
}

/** A model that takes clients. */
export interface RunningModel {
  /** What the device is, for people. */
  readonly title: string;
  /** What it works with, for people. */
  readonly about: string;
  /** Resolves when the last client is gone, or after `stop`. */
  readonly ended: Promise<void>;
  stop(): void;
}

/**
 * Starts the model. Clients may connect once this resolves. Throws SystemError, errors of `prepare`, and Error if the device
 * can't be created, or not in time.
 */
export function startModel(options: StartOptions, messages?: Worker): Promise<RunningModel> {
  return startWithin(START_MS, options, messages);
}

/** startModel with another time to start. */
export async function startWithin(
  startMs: number,
  { model, clients, trusting = false, log, notice = () => {} }: StartOptions,
  messages = startMessageThread(model.file),
): Promise<RunningModel> {
  const held = new DisposableStack();
  const threadEnd = new Promise((resolve) => messages.addEventListener("close", resolve));
  let stopThread = (): void => {};
  /** Descriptors go when the thread has ended: it would use whatever has their numbers next. */
  const release = async () => {
    stopThread();
    messages.terminate();
    const released = threadEnd.then(() => held.dispose());
    await within(STOP_MS, released);
  };
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<void>();
  ended.catch(() => {}); // waiters still get the error; while the model starts there may be none
  const late = setTimeout(
    () =>
      fail(
        new Error(
          `${model.file} did not start within ${startMs / 1000} s; something in it waits for too long`,
        ),
      ),
    startMs,
  );
  /** Throws the failure of a start that fails during the work. */
  const unlessFailed = <T>(work: T) => Promise.race([ended as Promise<never>, work]);
  try {
    const definition = await unlessFailed(loadDefinition(model.file));
    const mistake = optionMistake(model.query, definition.options);
    if (mistake !== undefined) throw new Error(`${model.file} ${mistake}`);
    const standby = "standby" in clients && clients.standby ? held.use(startStandby(model.file)) : undefined;
    const stop = held.use(new EventFd());
    stopThread = () => stop.signal();
    const prepared: PreparedModel = held.adopt(
      await unlessFailed(definition.prepare({ options: new URLSearchParams(model.query), notice, fail })),
      (prepared) => prepared.release(),
    );
    await unlessFailed(undefined);
    // If this process ends earlier than the model, it leaves no socket behind.
    const close = () => held.dispose();
    process.once("exit", close);
    held.defer(() => void process.off("exit", close));
    const listenerFd =
      "socketPath" in clients
        ? held.use(listenPrivately(clients.socketPath)).fd.number
        : "listenerFd" in clients
          ? clients.listenerFd
          : undefined;
    const data: MessageThreadData = {
      connectionFd: "connectionFd" in clients ? clients.connectionFd : undefined,
      listenerFd,
      standbyFd: standby?.number,
      stopFd: stop.fd.number,
      trusting,
      model: prepared.data,
    };
    const created = Promise.withResolvers<void>();
    messages.onmessage = ({ data: report }: MessageEvent<MessageThreadReport>) => {
      if ("log" in report) log(report.log, report.about);
      else if ("created" in report) created.resolve();
      else if ("failed" in report) fail(new Error(report.failed));
      else if ("ended" in report) end();
      else prepared.onAsk?.(report.ask);
    };
    messages.onerror = (event) => fail(new Error(`the model's message thread failed: ${event.message}`));
    messages.addEventListener("close", () =>
      fail(new Error("the model's message thread ended unexpectedly")),
    );
    messages.postMessage(data, prepared.transfer ?? []);
    await unlessFailed(created.promise);
    clearTimeout(late);
    let over = false;
    const released = ended.finally(() => {
      over = true;
      return release();
    });
    released.catch(() => {}); // as above
    return {
      title: definition.title,
      about: prepared.about,
      ended: released,
      stop: () => {
        if (over) return;
        stop.signal();
        setTimeout(() => {
          if (over) return;
          // It waits for a client that stopped in the middle of a message. The standby must not take over.
          if (standby) new Standby(standby, log).drop();
          end();
        }, STOP_MS).unref();
      },
    };
  } catch (error) {
    clearTimeout(late);
    await release();
    throw error;
  }
}
