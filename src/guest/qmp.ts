/** A client of QEMU's machine protocol (docs/interop/qmp-spec.rst): JSON lines over a UNIX socket. */

import { within } from "../os/within.ts";
import { QMP_MS } from "./limits.ts";
import { connect, onLines } from "./socket.ts";

/** QEMU refused a command, or did not answer. */
export class QmpError extends Error {}

/** The members of QEMU's messages that are used here. */
interface Message {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface Qmp extends Disposable {
  /**
   * Runs a command and returns its result.
   * @throws QmpError with QEMU's words if it refuses
   */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Resolves with an event that comes from now on. */
  event(name: string, isIt: (data: Readonly<Record<string, unknown>>) => boolean): Promise<void>;
}

/** Connects, and leaves the protocol's negotiation mode. */
export async function connectQmp(path: string, answerMs = QMP_MS): Promise<Qmp> {
  const socket = await connect(path);
  const answers = new Map<number, (message: Message) => void>();
  const watchers = new Set<(name: string, data: Readonly<Record<string, unknown>>) => void>();
  let lastId = 0;
  onLines(socket, (line) => take(JSON.parse(line) as Message));
  function take(message: Message): void {
    if (message.event !== undefined) for (const watch of watchers) watch(message.event, message.data ?? {});
    if (message.id === undefined) return;
    answers.get(message.id)?.(message);
    answers.delete(message.id);
  }

  const qmp: Qmp = {
    async execute(command, args = {}) {
      const id = ++lastId;
      const { promise, resolve } = Promise.withResolvers<Message>();
      answers.set(id, resolve);
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
      const isAnswered = await within(answerMs, promise);
      answers.delete(id);
      if (!isAnswered) throw new QmpError(`QEMU did not answer ${command} within ${answerMs / 1000} s`);
      const answer = await promise;
      if (answer.error) throw new QmpError(answer.error.desc);
      return answer.return;
    },
    event(name, isIt) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const watch = (event: string, data: Readonly<Record<string, unknown>>) => {
        if (event !== name || !isIt(data)) return;
        watchers.delete(watch);
        resolve();
      };
      watchers.add(watch);
      return promise;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
  await qmp.execute("qmp_capabilities");
  return qmp;
}
