/**
 * The client's end of a vfio-user connection: requests that wait for their reply, each with a time limit, and
 * answers to the server's own requests. Each call completes before the event loop turns again, so no message
 * of either side is handled in the middle of another.
 */
import { errnoName } from "../../os/errno.ts";
import type { Fd } from "../../os/fd.ts";
import { MAX_FDS } from "../../os/limits.ts";
import { Disconnected, FdStream, SocketTimeout } from "../../os/socket.ts";
import { MAX_DATA_BYTES } from "../../protocol/limits.ts";
import { commandName, type Message, MessageStream, ProtocolError } from "../../protocol/vfio-user.ts";
import { DeviceError } from "../device.ts";
import { SERVE_MS } from "../limits.ts";

const SERVING = "serving its requests";

/** Carries out a request from the server. Returns the reply's payload size, or an errno. */
export type ServeRequest = (
  message: Message,
) => { readonly payloadBytes: number } | { readonly errno: number };

export interface RequestOptions {
  readonly fds?: readonly number[];
  readonly takesFds?: boolean;
  /** Overrides the connection's. */
  readonly timeoutMs?: number;
  /** What follows the command's name in the message about a refusal, e.g. " of 4 bytes at BAR0:0x10". */
  readonly of?: () => string;
}

export class Connection implements Disposable {
  readonly spec: string;
  /** How long the server may take to answer one request. */
  readonly timeoutMs: number;
  readonly #messages: MessageStream;
  readonly #serve: ServeRequest;
  #nextId = 0;
  #closed = false;
  /** The server closed its end; the next request finds out and says so. */
  #ended = false;
  /** Why the connection is unusable; undefined while it works. */
  #broken: string | undefined;
  /** Most data of one region access; the server may lower it. */
  maxDataBytes = MAX_DATA_BYTES;
  /** Most descriptors of one message; the server may lower it. */
  maxFds = MAX_FDS;

  /** Takes ownership of the socket. */
  constructor(socket: Fd, spec: string, serve: ServeRequest, timeoutMs: number) {
    this.spec = spec;
    this.timeoutMs = timeoutMs;
    this.#messages = new MessageStream(new FdStream(socket));
    this.#serve = serve;
  }

  /** Whether requests can still be sent. */
  get usable(): boolean {
    return !this.#closed && this.#broken === undefined;
  }

  /** The stream, to build a message's payload in. */
  get messages(): MessageStream {
    return this.#messages;
  }

  /** The socket, only to poll: this connection receives all that arrives. */
  get socket(): Fd {
    return this.#messages.stream.fd;
  }

  /**
   * Sends a request and waits for its reply, serving the server's own requests until it arrives. With
   * `takesFds` the caller owns the reply's descriptors; otherwise they are closed. Throws DeviceError.
   */
  request(command: number, payloadBytes: number, options: RequestOptions = {}): Message {
    const { fds = [], takesFds = false, timeoutMs = this.timeoutMs, of } = options;
    const id = this.#send(command, payloadBytes, fds, false);
    const deadline = performance.now() + timeoutMs;
    return this.guard(commandName(command), timeoutMs, () => {
      for (let leftMs = timeoutMs, isFirst = true; ; isFirst = false) {
        if (!isFirst) leftMs = deadline - performance.now();
        // A server that sends request after request would otherwise never run out of time.
        if (leftMs <= 0) throw new SocketTimeout("no reply among the server's requests");
        const message = this.#messages.receive(leftMs, timeoutMs, isFirst);
        const isOurs = message.reply && message.id === id && message.command === command;
        if (!isOurs || message.errno || !takesFds) closeAll(message.fds);
        if (!message.reply) {
          this.#answer(message);
          continue;
        }
        if (!isOurs) {
          throw new ProtocolError(
            `a reply to ${commandName(message.command)} ${message.id} came for ${commandName(command)} ${id}`,
          );
        }
        if (message.errno)
          throw this.error(
            `the server refused ${commandName(command)}${of?.() ?? ""}: ${errnoName(message.errno)}`,
          );
        return message;
      }
    });
  }

  /** Sends a request and checks that its reply has at least `replyBytes`. Throws DeviceError. */
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
    this.guard(commandName(command), this.timeoutMs, () =>
      this.#messages.send(header, payloadBytes, fds, this.timeoutMs),
    );
    return id;
  }

  /** Whether the server's own requests can still arrive. */
  get listening(): boolean {
    return this.usable && !this.#ended;
  }

  /**
   * Answers the requests that the server has sent, waiting up to `patienceMs` for another one after each.
   * Returns whether there were any. Throws nothing: the next request reports what is wrong with the
   * connection.
   */
  serveWaiting(limitMs = SERVE_MS, patienceMs = 0): boolean {
    const deadline = performance.now() + limitMs;
    let served = false;
    while (this.listening && performance.now() < deadline) {
      if (!this.#messages.stream.readable(served ? patienceMs : 0)) break;
      try {
        this.guard(SERVING, this.timeoutMs, () => this.#serveOne());
      } catch (error) {
        if (!(error instanceof DeviceError)) throw error;
      }
      served = true;
    }
    return served;
  }

  #serveOne(): void {
    let message: Message;
    try {
      message = this.#messages.receive(this.timeoutMs, this.timeoutMs);
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
      this.#ended = true;
      return;
    }
    closeAll(message.fds);
    if (message.reply)
      throw new ProtocolError(
        `a reply to ${commandName(message.command)} ${message.id} came without a request`,
      );
    this.#answer(message);
  }

  #answer(request: Message): void {
    const { id, command, noReply } = request;
    const answer = this.#serve(request);
    if (noReply) return;
    const errno = "errno" in answer ? answer.errno : 0;
    const payloadBytes = "errno" in answer ? 0 : answer.payloadBytes;
    this.#messages.send(
      { id, command, reply: true, noReply: false, errno },
      payloadBytes,
      [],
      this.timeoutMs,
    );
  }

  /**
   * Runs a step of the operation `name`. An error that breaks the connection becomes a DeviceError that says
   * so, now and for later requests. `timeoutMs` is the step's time limit.
   */
  guard<T>(name: string, timeoutMs: number, run: () => T): T {
    try {
      return run();
    } catch (error) {
      // A RangeError is the caller's mistake: nothing was sent.
      if (!(error instanceof Error) || error instanceof DeviceError || error instanceof RangeError)
        throw error;
      this.#broken = `${this.spec}: ${reason(error, name, timeoutMs)}`;
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

function reason(error: Error, name: string, timeoutMs: number): string {
  if (error instanceof Disconnected) {
    return `the server disconnected (${name}: ${error.message}); restart it and reopen the device`;
  }
  if (error instanceof SocketTimeout && name === SERVING) {
    return `the server stalled for ${timeoutMs} ms while sending its own request or receiving the answer`;
  }
  if (error instanceof SocketTimeout) {
    return `no answer to ${name} within ${timeoutMs} ms; the server hangs, is serving another client, or is not a vfio-user server`;
  }
  if (error instanceof ProtocolError) return `${error.message}; is it a vfio-user server?`;
  return `${name} failed: ${error.message}`;
}

export function closeAll(fds: readonly Fd[]): void {
  for (const fd of fds) fd[Symbol.dispose]();
}
