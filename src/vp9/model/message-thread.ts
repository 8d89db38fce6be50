/**
 * The model's message thread: a Worker that answers vfio-user messages and sleeps in poll(2) otherwise, so it takes
 * part in no event loop. It reaches the codec threads by MessagePorts and is woken by eventfds.
 */

import { Heir } from "../../model/heir.ts";
import { serve } from "../../model/server.ts";
import { EventFd } from "../../os/eventfd.ts";
import { Fd } from "../../os/fd.ts";
import { type CodecChannel, CodecPool, codecChannel } from "../codec/pool.ts";
import { Vp9Endpoint } from "./endpoint.ts";
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
  /** To the codec thread that runs already. */
  readonly codec: CodecChannel;
  /** Value of the CODEC register. */
  readonly codecIdentity: number;
  readonly trusting: boolean;
  readonly faults: readonly Fault[];
}

/** What the thread tells the one that started it. */
export type MessageThreadReport =
  | { readonly log: string }
  /** Another codec thread is wanted, to take its jobs from there. */
  | { readonly channel: CodecChannel }
  | { readonly ended: true };

declare const self: Worker;

const data = await new Promise<MessageThreadData>((resolve) => {
  self.onmessage = (event: MessageEvent<MessageThreadData>) => resolve(event.data);
});
const report = (message: MessageThreadReport, transfer: MessagePort[] = []) =>
  self.postMessage(message, transfer);

const codec = new CodecPool(data.codecIdentity, new EventFd(new Fd(data.bellFd)), data.codec, () => {
  const { ours, theirs } = codecChannel();
  report({ channel: theirs }, [theirs.port]);
  return ours;
});
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
  { trusting: data.trusting },
);
report({ ended: true });
