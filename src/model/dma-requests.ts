/**
 * DMA by messages: the server's requests to its client for memory that the client did not share. Each waits for its reply.
 * Requests of the client that arrive before it are queued.
 */
import type { Fd } from "../os/fd.ts";
import { Disconnected, type FdStream, SocketTimeout } from "../os/socket.ts";
import { MAX_DATA_BYTES } from "../protocol/limits.ts";
import { Command, commandName, type Message, MessageStream, ProtocolError } from "../protocol/vfio-user.ts";
import type { DmaMessages } from "./dma.ts";
import { MAX_KEPT, MAX_KEPT_BYTES, REPLY_MS } from "./limits.ts";

/** u64 address, u64 count, before the data. */
const FIXED_BYTES = 16;

export class DmaRequests implements DmaMessages, Disposable {
  readonly #stream: FdStream;
  /** With buffers of its own, since a request may be sent while one of the client's is carried out. */
  #messages: MessageStream | undefined;
  readonly #kept: Message[] = [];
  #keptBytes = 0;
  #nextId = 0;
  #failure: Error | undefined;
  /** Most data of a request; the client may lower it. */
  maxDataBytes = MAX_DATA_BYTES;

  constructor(stream: FdStream) {
    this.#stream = stream;
  }

  /** Whether a request of the client is kept. */
  get hasKept(): boolean {
    return this.#kept.length > 0;
  }

  /** The first request kept. */
  take(): Message | undefined {
    const message = this.#kept.shift();
    this.#keptBytes -= message?.payload.byteLength ?? 0;
    return message;
  }

  /** Throws what made a transfer fail for good: Disconnected, SocketTimeout, ProtocolError. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  read(iova: number, to: Uint8Array): boolean {
    return this.#each(iova, to, (at, part) => {
      const reply = this.#request(Command.DMA_READ, at, part.byteLength);
      if (!reply) return false;
      part.set(new Uint8Array(reply.buffer, reply.byteOffset + FIXED_BYTES, part.byteLength));
      return true;
    });
  }

  write(iova: number, from: Uint8Array): boolean {
    return this.#each(
      iova,
      from,
      (at, part) => this.#request(Command.DMA_WRITE, at, part.byteLength, part) !== undefined,
    );
  }

  #each(iova: number, bytes: Uint8Array, move: (at: number, part: Uint8Array) => boolean): boolean {
    for (let done = 0; done < bytes.byteLength; done += this.maxDataBytes) {
      if (this.#failure) return false;
      try {
        if (!move(iova + done, bytes.subarray(done, done + this.maxDataBytes))) return false;
      } catch (error) {
        const isKnown =
          error instanceof Disconnected || error instanceof SocketTimeout || error instanceof ProtocolError;
        this.#failure = isKnown ? error : new ProtocolError((error as Error).message, { cause: error });
        return false;
      }
    }
    return true;
  }

  /** Returns the reply's payload, or undefined if the client refuses. */
  #request(command: number, iova: number, count: number, data?: Uint8Array): DataView | undefined {
    this.#messages ??= new MessageStream(this.#stream);
    const payload = this.#messages.payload(FIXED_BYTES + (data?.byteLength ?? 0));
    payload.setBigUint64(0, BigInt(iova), true);
    payload.setBigUint64(8, BigInt(count), true);
    if (data) new Uint8Array(payload.buffer, payload.byteOffset + FIXED_BYTES).set(data);
    const id = this.#nextId;
    this.#nextId = (id + 1) & 0xffff;
    this.#messages.send(
      { id, command, reply: false, noReply: false, errno: 0 },
      payload.byteLength,
      [],
      REPLY_MS,
    );
    const deadline = performance.now() + REPLY_MS;
    for (;;) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new SocketTimeout(`no answer to ${commandName(command)} within ${REPLY_MS} ms`);
      const message = this.#messages.receive(leftMs);
      if (!message.reply) {
        this.#keep(message);
        continue;
      }
      close(message.fds);
      if (message.id !== id || message.command !== command)
        throw new ProtocolError(
          `a reply to ${commandName(message.command)} ${message.id} came for ${commandName(command)} ${id}`,
        );
      if (message.errno) return undefined;
      const expected = FIXED_BYTES + (data ? 0 : count);
      if (message.payload.byteLength !== expected)
        throw new ProtocolError(
          `the reply to ${commandName(command)} has ${message.payload.byteLength} bytes, not ${expected}`,
        );
      return message.payload;
    }
  }

  #keep(message: Message): void {
    const { payload } = message;
    this.#keptBytes += payload.byteLength;
    if (this.#kept.length >= MAX_KEPT || this.#keptBytes > MAX_KEPT_BYTES) {
      close(message.fds);
      throw new ProtocolError(
        `${this.#kept.length + 1} requests of ${this.#keptBytes} bytes came while one for memory waits for its answer; at most ${MAX_KEPT} of ${MAX_KEPT_BYTES} are kept`,
      );
    }
    const copy = payload.buffer.slice(payload.byteOffset, payload.byteOffset + payload.byteLength);
    this.#kept.push({ ...message, payload: new DataView(copy as ArrayBuffer) });
  }

  /** Closes the descriptors of what is kept. */
  [Symbol.dispose](): void {
    for (const { fds } of this.#kept.splice(0)) close(fds);
  }
}

function close(fds: readonly Fd[]): void {
  for (const fd of fds) fd[Symbol.dispose]();
}
