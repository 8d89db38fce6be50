/**
 * The model's message thread: a Worker that answers vfio-user messages and sleeps in poll(2) otherwise, so it takes
 * part in no event loop. It reaches the codec's thread by a MessagePort and is woken by eventfds.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { EventFd } from "../../os/eventfd.ts";
import { Fd } from "../../os/fd.ts";
import { type CodecResult, SharedWord } from "../codec/jobs.ts";
import { serve } from "../server.ts";
import { type CodecLink, Vp9Endpoint } from "./endpoint.ts";
import type { Fault } from "./faults.ts";

export interface MessageThreadData {
  readonly connectionFd: number | undefined;
  readonly listenerFd: number | undefined;
  /** Eventfds of the starting thread: to end, and to say that results wait. */
  readonly stopFd: number;
  readonly bellFd: number;
  readonly codecPort: MessagePort;
  /** The words of SharedWord. */
  readonly shared: Int32Array;
  readonly faults: readonly Fault[];
}

/** What the thread tells the one that started it. */
export type MessageThreadReport = { readonly log: string } | { readonly ended: true };

const data = workerData as MessageThreadData;
const bell = new EventFd(new Fd(data.bellFd));

// This thread starts while the codec is being chosen.
Atomics.wait(data.shared, SharedWord.IDENTITY, 0);

const codec: CodecLink = {
  identity: Atomics.load(data.shared, SharedWord.IDENTITY),
  bell: data.bellFd,
  post: (job) => {
    if (job.kind === "close") Atomics.store(data.shared, SharedWord.CANCELLED, job.id);
    data.codecPort.postMessage(job);
  },
  take: () => {
    bell.take();
    const results: CodecResult[] = [];
    for (;;) {
      const received = receiveMessageOnPort(data.codecPort) as { message: CodecResult } | undefined;
      if (!received) return results;
      results.push(received.message);
    }
  },
};

const report = (message: MessageThreadReport) => parentPort?.postMessage(message);
const clients =
  data.connectionFd === undefined
    ? { listener: new Fd(data.listenerFd!) }
    : { connection: new Fd(data.connectionFd) };
serve(
  clients,
  new EventFd(new Fd(data.stopFd)),
  (host) => new Vp9Endpoint(host, codec, data.faults),
  (log) => report({ log }),
);
report({ ended: true });
