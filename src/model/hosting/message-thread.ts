/**
 * The model's message thread: a Worker that answers vfio-user messages and otherwise sleeps in poll(2), so it
 * has no running event loop. A device sends to other threads through MessagePorts, and eventfds wake it.
 */
import { EventFd } from "../../os/eventfd.ts";
import { Fd } from "../../os/fd.ts";
import { loadDefinition } from "../definition.ts";
import type { ModelLog } from "../device-model.ts";
import { serve } from "../server.ts";
import { Standby } from "./standby.ts";

/** The thread's second message. The first is the path of the model's file, which it loads in between. */
export interface MessageThreadData {
  readonly connectionFd: number | undefined;
  readonly listenerFd: number | undefined;
  /** The standby's control socket, if there is a standby. */
  readonly standbyFd: number | undefined;
  /** The starting thread's eventfd that ends this thread. */
  readonly stopFd: number;
  readonly trusting: boolean;
  /** The data from the model's `prepare`. */
  readonly model: unknown;
}

/** The thread's messages to the one that started it. */
export type MessageThreadReport =
  /** For the starting thread's ModelLog. */
  | { readonly log: string; readonly about?: Parameters<ModelLog>[1] }
  /** The device has been created. */
  | { readonly created: true }
  /** It could not be, or serving it failed: why. */
  | { readonly failed: string }
  /** From the device, for the model's onAsk. */
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

const loading = loadDefinition((await nextMessage()) as string).then((definition) => definition.load());
loading.catch(() => {}); // thrown below, once the starting thread listens for it
const data = (await nextMessage()) as MessageThreadData;
const create = await loading;

const log: ModelLog = (line, about) => report(about ? { log: line, about } : { log: line });
const standby = data.standbyFd === undefined ? undefined : new Standby(new Fd(data.standbyFd), log);
const clients =
  data.connectionFd === undefined
    ? { listener: new Fd(data.listenerFd!), standby }
    : { connection: new Fd(data.connectionFd) };
try {
  serve(
    clients,
    new EventFd(new Fd(data.stopFd)),
    (host) => create(host, data.model, (message, transfer) => report({ ask: message }, transfer)),
    log,
    {
      trusting: data.trusting,
      onCreated: () => report({ created: true }),
    },
  );
  report({ ended: true });
} catch (error) {
  // A RangeError tells what is wrong with the description or an option; for others it matters where they came from.
  const message = error instanceof RangeError ? error.message : error instanceof Error && error.stack;
  report({ failed: message || String(error) });
}
