/**
 * The model's message thread: a Worker that answers vfio-user messages and sleeps in poll(2) otherwise, so it takes
 * part in no event loop. A device reaches other threads by MessagePorts and is woken by eventfds.
 */
import { EventFd } from "../../os/eventfd.ts";
import { Fd } from "../../os/fd.ts";
import { loadDefinition } from "../definition.ts";
import { serve } from "../server.ts";
import { Standby } from "./standby.ts";

/** What the thread is told in its second message. The first one is the path of the model's file, which it loads meanwhile. */
export interface MessageThreadData {
  readonly connectionFd: number | undefined;
  readonly listenerFd: number | undefined;
  /** The control socket of the standby, where there is one. */
  readonly standbyFd: number | undefined;
  /** Eventfd of the starting thread, to end. */
  readonly stopFd: number;
  readonly trusting: boolean;
  /** What the model has prepared. */
  readonly model: unknown;
}

/** What the thread tells the one that started it. */
export type MessageThreadReport =
  | { readonly log: string }
  /** The device's to the model's onAsk. */
  | { readonly ask: unknown }
  | { readonly ended: true };

declare const self: Worker;

const received: unknown[] = [];
let arrived = (): void => {};
self.onmessage = (event: MessageEvent<unknown>) => {
  received.push(event.data);
  arrived();
};
async function nextMessage(): Promise<unknown> {
  while (received.length === 0)
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
  return received.shift();
}
const report = (message: MessageThreadReport, transfer: MessagePort[] = []) =>
  self.postMessage(message, transfer);

const definition = await loadDefinition((await nextMessage()) as string);
const create = await definition.load();
const data = (await nextMessage()) as MessageThreadData;

const log = (line: string) => report({ log: line });
const standby = data.standbyFd === undefined ? undefined : new Standby(new Fd(data.standbyFd), log);
const clients =
  data.connectionFd === undefined
    ? { listener: new Fd(data.listenerFd!), standby }
    : { connection: new Fd(data.connectionFd) };
serve(
  clients,
  new EventFd(new Fd(data.stopFd)),
  (host) => create(host, data.model, (message, transfer) => report({ ask: message }, transfer)),
  log,
  { trusting: data.trusting },
);
report({ ended: true });
