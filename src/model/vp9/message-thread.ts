/**
 * The model's message thread: a Worker that answers vfio-user messages and sleeps in poll(2) otherwise, so it takes
 * part in no event loop. It reaches the codec's thread by a MessagePort and is woken by eventfds.
 */
import { receiveMessageOnPort } from "node:worker_threads";
import { EventFd } from "../../os/eventfd.ts";
import { Fd } from "../../os/fd.ts";
import type { CodecResult } from "../codec/jobs.ts";
import { Heir } from "../heir.ts";
import { serve } from "../server.ts";
import { type CodecLink, Vp9Endpoint } from "./endpoint.ts";
import type { Fault } from "./faults.ts";

/** What the thread is told, in its first message: it starts while the codec is being chosen. */
export interface MessageThreadData {
  readonly connectionFd: number | undefined;
  readonly listenerFd: number | undefined;
  /** The control socket of the heir, where there is one. */
  readonly heirFd: number | undefined;
  /** Eventfds of the starting thread: to end, and to say that results wait. */
  readonly stopFd: number;
  readonly bellFd: number;
  readonly codecPort: MessagePort;
  /** Value of the CODEC register. */
  readonly codecIdentity: number;
  /** As serveCodecJobs has it. */
  readonly cancelled: Int32Array;
  readonly faults: readonly Fault[];
}

/** What the thread tells the one that started it. */
export type MessageThreadReport = { readonly log: string } | { readonly ended: true };

declare const self: Worker;

const data = await new Promise<MessageThreadData>((resolve) => {
  self.onmessage = (event: MessageEvent<MessageThreadData>) => resolve(event.data);
});
const bell = new EventFd(new Fd(data.bellFd));
const codec: CodecLink = {
  identity: data.codecIdentity,
  bell: data.bellFd,
  post: (job) => {
    if (job.kind === "close") Atomics.store(data.cancelled, 0, job.id);
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

const report = (message: MessageThreadReport) => self.postMessage(message);
const heir = data.heirFd === undefined ? undefined : new Heir(new Fd(data.heirFd), (log) => report({ log }));
const clients =
  data.connectionFd === undefined
    ? { listener: new Fd(data.listenerFd!), heir }
    : { connection: new Fd(data.connectionFd) };
serve(
  clients,
  new EventFd(new Fd(data.stopFd)),
  (host) => new Vp9Endpoint(host, codec, data.faults),
  (log) => report({ log }),
);
report({ ended: true });
