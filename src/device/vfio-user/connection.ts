/** The client's end of a vfio-user connection: requests that wait for their reply, with a time limit each. */
import { errnoName } from "../../os/errno.ts";
import type { Fd } from "../../os/fd.ts";
import { Disconnected, FdStream, SocketTimeout } from "../../os/socket.ts";
import { DeviceError } from "../device.ts";
import { commandName, MAX_DATA_BYTES, type Message, MessageStream, ProtocolError } from "./protocol.ts";

/** How long a server may take to answer one request. */
const REPLY_TIMEOUT_MS = 5000;

/** A request of the server's own, answered while one of ours waits. Returns the reply's payload size, or an errno. */
export type ServeRequest = (
  message: Message,
) => { readonly payloadBytes: number } | { readonly errno: number };

export class Connection implements Disposable {
  readonly spec: string;
  readonly #messages: MessageStream;
  readonly #serve: ServeRequest;
  #nextId = 0;
  #closed = false;
  /** The connection is of no use any more; why. */
  #broken: string | undefined;
  /** Most data of one region access; the server may lower it. */
  maxDataBytes = MAX_DATA_BYTES;

  /** Owns the socket from now on. */
  constructor(socket: Fd, spec: string, serve: ServeRequest) {
    this.spec = spec;
    this.#messages = new MessageStream(new FdStream(socket));
    this.#serve = serve;
  }

  /** Whether requests can still be sent. */
  get usable(): boolean {
    return !this.#closed && this.#broken === undefined;
  }

  /** The stream, to put a message's payload together in. */
  get messages(): MessageStream {
    return this.#messages;
  }

  /**
   * Sends a request and waits for its reply, serving the server's own requests meanwhile. The descriptors of the reply
   * are the caller's when it `takesFds`, and closed otherwise. Throws DeviceError.
   */
  request(command: number, payloadBytes: number, fds: readonly number[] = [], takesFds = false): Message {
    const id = this.#send(command, payloadBytes, fds, false);
    const deadline = performance.now() + REPLY_TIMEOUT_MS;
    return this.guard(command, () => {
      for (;;) {
        const message = this.#messages.receive(Math.max(0, deadline - performance.now()));
        if (!message.reply || message.errno || !takesFds || message.id !== id) closeAll(message.fds);
        if (!message.reply) {
          this.#answer(message);
          continue;
        }
        if (message.id !== id || message.command !== command) {
          throw new ProtocolError(
            `a reply to ${commandName(message.command)} ${message.id} came for ${commandName(command)} ${id}`,
          );
        }
        if (message.errno)
          throw this.error(`the server refused ${commandName(command)}: ${errnoName(message.errno)}`);
        return message;
      }
    });
  }

  /** A reply's fixed part, checked. Throws DeviceError. */
  requestFixed(command: number, payloadBytes: number, replyBytes: number): DataView {
    const { payload } = this.request(command, payloadBytes);
    if (payload.byteLength >= replyBytes) return payload;
    throw this.error(
      `the reply to ${commandName(command)} has ${payload.byteLength} bytes of at least ${replyBytes}`,
    );
  }

  /** Sends a request that wants no reply. Throws DeviceError. */
  post(command: number, payloadBytes: number): void {
    this.#send(command, payloadBytes, [], true);
  }

  #send(command: number, payloadBytes: number, fds: readonly number[], noReply: boolean): number {
    if (this.#closed) throw new DeviceError(`${this.spec} is closed; ${commandName(command)} can't be sent`);
    if (this.#broken !== undefined) throw new DeviceError(this.#broken);
    const id = this.#nextId;
    this.#nextId = (id + 1) & 0xffff;
    const header = { id, command, reply: false, noReply, errno: 0 };
    this.guard(command, () => this.#messages.send(header, payloadBytes, fds, REPLY_TIMEOUT_MS));
    return id;
  }

  #answer(request: Message): void {
    const { id, command, noReply } = request;
    const answer = this.#serve(request);
    if (noReply) return;
    const errno = "errno" in answer ? answer.errno : 0;
    const payloadBytes = "errno" in answer ? 0 : answer.payloadBytes;
    this.#messages.send({ id, command, reply: true, noReply: false, errno }, payloadBytes);
  }

  /** Runs a part of a command; what breaks the connection becomes a DeviceError that says so, now and later. */
  guard<T>(command: number, run: () => T): T {
    try {
      return run();
    } catch (error) {
      // A RangeError is the caller's: nothing was sent.
      if (!(error instanceof Error) || error instanceof DeviceError || error instanceof RangeError)
        throw error;
      this.#broken = `${this.spec}: ${reason(error, commandName(command))}`;
      throw new DeviceError(this.#broken, { cause: error });
    }
  }

  error(why: string): DeviceError {
    return new DeviceError(`${this.spec}: ${why}`);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#messages.stream[Symbol.dispose]();
  }
}

function reason(error: Error, name: string): string {
  if (error instanceof Disconnected) {
    return `the server is gone (${name}: ${error.message}); start it again and open the device anew`;
  }
  if (error instanceof SocketTimeout) {
    return `no answer to ${name} within ${REPLY_TIMEOUT_MS} ms; the server hangs, is serving another client, or is no vfio-user server`;
  }
  if (error instanceof ProtocolError) return `${error.message}; is it a vfio-user server?`;
  return `${name} failed: ${error.message}`;
}

export function closeAll(fds: readonly Fd[]): void {
  for (const fd of fds) fd[Symbol.dispose]();
}
