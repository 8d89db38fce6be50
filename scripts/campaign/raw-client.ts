/** A vfio-user client that sends any message, in any order: what no polite client would. */
import { ptr } from "bun:ffi";
import { SystemError } from "../../src/os/errno.ts";
import type { Fd } from "../../src/os/fd.ts";
import { libc } from "../../src/os/libc.ts";
import { Disconnected, FdStream } from "../../src/os/socket.ts";
import { Command, MessageStream, putVersion } from "../../src/protocol/vfio-user.ts";

/** How long an answer may take. */
const LIMIT_MS = 4500;

/** Little-endian fields; the layout has the bytes of each, e.g. `pack("448", 16, 0, 2n ** 63n)`. */
export function pack(layout: string, ...values: (number | bigint)[]): Uint8Array {
  const widths = [...layout].map(Number);
  const view = new DataView(new ArrayBuffer(widths.reduce((sum, width) => sum + width, 0)));
  let at = 0;
  for (const [i, width] of widths.entries()) {
    const value = values[i]!;
    if (width === 8) view.setBigUint64(at, BigInt(value), true);
    else if (width === 4) view.setUint32(at, Number(value), true);
    else if (width === 2) view.setUint16(at, Number(value), true);
    else view.setUint8(at, Number(value));
    at += width;
  }
  return new Uint8Array(view.buffer);
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export interface Reply {
  readonly id: number;
  readonly command: number;
  readonly errno: number;
  readonly payload: DataView;
  readonly fds: readonly Fd[];
}

/** QEMU 11.1's own VERSION, 214 bytes with its header. */
export const QEMU_VERSION = concat(
  pack("22", 0, 0),
  new TextEncoder().encode(
    '{"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535, "max_data_xfer_size": 1048576, "migration": {"max_bitmap_size": 268435456, "pgsize": 4096}, "write_multiple": true}}\x00',
  ),
);

/** A connection on which any message can be sent, in any order. */
export class RawClient implements Disposable {
  readonly stream: FdStream;
  readonly #messages: MessageStream;
  #nextId = 0;

  constructor(fd: Fd) {
    this.stream = new FdStream(fd);
    this.#messages = new MessageStream(this.stream);
  }

  /** Sends a request and returns its id. */
  send(
    command: number,
    payload: Uint8Array = new Uint8Array(0),
    fds: readonly number[] = [],
    noReply = false,
  ): number {
    const id = this.#nextId++ & 0xffff;
    const view = this.#messages.payload(payload.byteLength);
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(payload);
    this.#messages.send({ id, command, reply: false, noReply, errno: 0 }, payload.byteLength, fds);
    return id;
  }

  /** The next reply; its payload is a copy. */
  receive(): Reply {
    const { id, command, errno, payload, fds, reply } = this.#messages.receive(LIMIT_MS);
    if (!reply) throw new Error(`request ${command} came in place of a reply`);
    const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength).slice();
    return { id, command, errno, payload: new DataView(bytes.buffer), fds };
  }

  /** The server's next request; its payload is a copy. */
  receiveRequest(): Reply {
    const { id, command, errno, payload, fds, reply } = this.#messages.receive(LIMIT_MS);
    if (reply) throw new Error(`a reply to ${command} came in place of a request`);
    const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength).slice();
    return { id, command, errno, payload: new DataView(bytes.buffer), fds };
  }

  /** Answers a request of the server's. */
  answer({ id, command }: Pick<Reply, "id" | "command">, payload: Uint8Array, errno = 0): void {
    const view = this.#messages.payload(payload.byteLength);
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(payload);
    this.#messages.send({ id, command, reply: true, noReply: false, errno }, payload.byteLength);
  }

  /** Sends a request and receives its reply, which must be of the same id and command. */
  request(command: number, payload?: Uint8Array, fds?: readonly number[]): Reply {
    const id = this.send(command, payload, fds);
    const reply = this.receive();
    if (reply.id !== id || reply.command !== command)
      throw new Error(`a reply to ${reply.command} ${reply.id} came for ${command} ${id}`);
    return reply;
  }

  agree(): this {
    const bytes = putVersion(this.#messages, { max_msg_fds: 16, max_data_xfer_size: 1 << 20 });
    this.#messages.send({ id: 0, command: Command.VERSION, reply: false, noReply: false, errno: 0 }, bytes);
    const { errno } = this.receive();
    if (errno !== 0) throw new Error(`VERSION was refused with errno ${errno}`);
    return this;
  }

  /** The data of a read that must succeed. */
  read(region: number, offset: number | bigint, count: number): Uint8Array {
    const { errno, payload } = this.request(Command.REGION_READ, pack("844", offset, region, count));
    if (errno !== 0 || payload.byteLength !== 16 + count)
      throw new Error(
        `a read of ${count} bytes was answered with errno ${errno} and ${payload.byteLength} bytes of payload`,
      );
    return new Uint8Array(payload.buffer, 16);
  }

  read32(region: number, offset: number): number {
    const bytes = this.read(region, offset, 4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  }

  /** The errno of a write. */
  write(region: number, offset: number | bigint, data: Uint8Array): number {
    return this.request(Command.REGION_WRITE, concat(pack("844", offset, region, data.byteLength), data))
      .errno;
  }

  /** Whether the server ends the connection without another message. */
  dropped(): boolean {
    try {
      const reply = this.receive();
      throw new Error(`command ${reply.command} was answered with errno ${reply.errno}`);
    } catch (error) {
      if (error instanceof Disconnected) return true;
      // What the server left unread makes the kernel say so.
      if (error instanceof SystemError && error.code === "ECONNRESET") return true;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.stream[Symbol.dispose]();
  }
}

/** One sendmsg(2) with any number of descriptors: FdStream refuses to send more than a peer can take. */
export function sendWithFds(socket: Fd, bytes: Uint8Array, fds: readonly number[]): void {
  const SOL_SOCKET = 1;
  const SCM_RIGHTS = 1;
  const control = concat(
    pack("844", 16 + 4 * fds.length, SOL_SOCKET, SCM_RIGHTS),
    pack("4".repeat(fds.length), ...fds),
  );
  const iovec = pack("88", ptr(bytes), bytes.byteLength);
  const header = pack("8888888", 0, 0, ptr(iovec), 1, ptr(control), control.byteLength, 0);
  const sent = Number(libc.sendmsg(socket.number, ptr(header), 0));
  if (sent !== bytes.byteLength) throw new Error(`sendmsg took ${sent} of ${bytes.byteLength} bytes`);
}
