/** A server's side of one connection: replies as an ordinary server does, but for the faults of a case. */
import { ptr } from "bun:ffi";
import type { Fd } from "../../../src/os/fd.ts";
import { libc } from "../../../src/os/libc.ts";
import { Disconnected, type FdStream, SocketTimeout } from "../../../src/os/socket.ts";
import { BARS } from "../../../src/protocol/vfio.ts";
import { Command, HEADER_BYTES } from "../../../src/protocol/vfio-user.ts";
import { concat, pack, sendWithFds } from "../raw-client.ts";
import type { Files } from "../server/files.ts";
import { messageOf } from "../server/messages.ts";
import { payloadOf } from "../server/versions.ts";
import type { Fault, TimedFault } from "./faults.ts";
import { type Reply, regionReply, replyTo } from "./replies.ts";

const REPLY = 1;
const NO_REPLY = 0x10;
const ERROR = 0x20;
/** How long a client that does not read may hold a send up. */
const SEND_MS = 300;
/** Requests of a flood that go into one send. */
const FLOOD_BATCH = 256;
/** Descriptors of the client's that are kept. */
const MOST_KEPT = 64;

/** A reply in the making. */
interface Draft {
  readonly request: { readonly id: number; readonly command: number; readonly payload: DataView };
  reply: Reply;
  flags: number;
  errno: number;
  id: number;
  command: number;
  /** Added to the size in the header. */
  moreBytes: number;
  /** Sent before the reply. */
  readonly before: Uint8Array[];
  times: number;
  pieceBytes: number;
  pieceMs: number;
  /** How much of it is sent, before the connection is closed. */
  leaveAfter: number | undefined;
}

export class HostileServer implements Disposable {
  readonly #stream: FdStream;
  readonly #faults: readonly TimedFault[];
  readonly #files: Files;
  readonly #seen = new Map<number | undefined, number>();
  readonly #eventFds: Fd[] = [];
  #lastReply: Uint8Array = new Uint8Array();
  /** One of both sides has hung up. */
  ended = false;
  requests = 0;
  /** Answers of the client's to this side's requests. */
  answers = 0;
  /** Faults that came to pass. */
  faults = 0;
  /** Replies to reads of a BAR that a client must not take for one: another length, id or command. */
  wrongReads = 0;

  /** Takes ownership of the stream. */
  constructor(stream: FdStream, faults: readonly TimedFault[], files: Files) {
    this.#stream = stream;
    this.#faults = faults;
    this.#files = files;
  }

  get fd(): number {
    return this.#stream.fd.number;
  }

  /** Receives a message, and replies to it. */
  serveOne(): void {
    try {
      this.#serveOne();
    } catch (error) {
      const code = (error as { readonly code?: string }).code;
      const isGone = error instanceof Disconnected || error instanceof SocketTimeout || code === "ECONNRESET";
      if (!isGone && code !== "EPIPE") throw error;
      this.#leave();
    }
  }

  #leave(): void {
    this.ended = true;
    this.#stream.hangUp();
  }

  /** A message of the client's; undefined: an answer, which is not looked at. */
  #receive(): (Draft["request"] & { readonly noReply: boolean }) | undefined {
    const header = new Uint8Array(new ArrayBuffer(HEADER_BYTES));
    const fds = this.#stream.receive(header, SEND_MS);
    const view = new DataView(header.buffer);
    const payload = new Uint8Array(new ArrayBuffer(view.getUint32(4, true) - HEADER_BYTES));
    if (payload.byteLength > 0) fds.push(...this.#stream.receive(payload, SEND_MS));
    for (const fd of fds)
      if (this.#eventFds.length < MOST_KEPT) this.#eventFds.push(fd);
      else fd[Symbol.dispose]();
    const flags = view.getUint32(8, true);
    if (flags & REPLY) {
      this.answers++;
      return undefined;
    }
    const [id, command] = [view.getUint16(0, true), view.getUint16(2, true)];
    return { id, command, payload: new DataView(payload.buffer), noReply: (flags & NO_REPLY) !== 0 };
  }

  #serveOne(): void {
    const request = this.#receive();
    if (!request) return;
    this.requests++;
    const { id, command, payload } = request;
    const draft: Draft = {
      ...{ request, reply: replyTo(command, payload), flags: REPLY, errno: 0, id, command, moreBytes: 0 },
      ...{ before: [], times: request.noReply ? 0 : 1, pieceBytes: 0, pieceMs: 0, leaveAfter: undefined },
    };
    for (const fault of this.#due(command)) {
      this.faults++;
      this.#apply(fault, draft);
      if (this.ended) return;
    }
    this.#send(draft);
  }

  /** The faults whose time has come. */
  #due(command: number): Fault[] {
    const due = this.#faults.filter(
      (one) =>
        (one.command === undefined || one.command === command) &&
        one.skip === (this.#seen.get(one.command) ?? 0),
    );
    for (const key of [undefined, command]) this.#seen.set(key, (this.#seen.get(key) ?? 0) + 1);
    return due.map(({ fault }) => fault);
  }

  #send(draft: Draft): void {
    const { reply, id, command, flags, errno, moreBytes, leaveAfter } = draft;
    const bytes = messageOf(id & 0xffff, command & 0xffff, reply.payload, flags, errno);
    new DataView(bytes.buffer).setUint32(4, (bytes.byteLength + moreBytes) >>> 0, true);
    if (isWrongRead(draft)) this.wrongReads++;
    for (const other of draft.before) this.#stream.send(other, [], SEND_MS);
    const fds = (reply.files ?? []).map((kind) => this.#files.get(kind));
    for (let i = 0; i < draft.times; i++) {
      const sent = leaveAfter === undefined ? bytes : bytes.subarray(0, leaveAfter);
      if (sent.byteLength === 0) continue;
      if (fds.length > 16) sendWithFds(this.#stream.fd, sent, fds);
      else this.#sendInPieces(sent, fds, draft);
    }
    this.#lastReply = bytes;
    if (leaveAfter !== undefined) this.#leave();
  }

  #sendInPieces(bytes: Uint8Array, fds: readonly number[], { pieceBytes, pieceMs }: Draft): void {
    const step = pieceBytes || bytes.byteLength;
    for (let at = 0; at < bytes.byteLength; at += step) {
      if (at > 0 && pieceMs > 0) Bun.sleepSync(pieceMs);
      this.#stream.send(bytes.subarray(at, at + step), at === 0 ? fds : [], SEND_MS);
    }
  }

  #apply(fault: Fault, draft: Draft): void {
    switch (fault.kind) {
      case "header":
        draft.id += fault.id;
        draft.command += fault.command;
        draft.moreBytes += fault.sizeBytes;
        draft.flags = fault.flags ?? draft.flags;
        draft.errno = fault.errno;
        return;
      case "refuse":
        draft.flags = REPLY | ERROR;
        draft.errno = fault.errno;
        return;
      case "word": {
        const payload = draft.reply.payload.slice();
        if (fault.offset + 4 <= payload.byteLength)
          new DataView(payload.buffer).setUint32(fault.offset, fault.value, true);
        draft.reply = { ...draft.reply, payload };
        return;
      }
      case "length": {
        const payload = new Uint8Array(Math.max(0, draft.reply.payload.byteLength + fault.bytes));
        payload.set(draft.reply.payload.subarray(0, payload.byteLength));
        draft.reply = { ...draft.reply, payload };
        return;
      }
      case "version":
        draft.reply = { ...draft.reply, payload: payloadOf(fault.version).payload };
        return;
      case "region":
        draft.reply = regionReply(
          draft.request.payload.byteLength >= 12 ? draft.request.payload.getUint32(8, true) : 0,
          fault,
        );
        return;
      case "files":
        draft.reply = { ...draft.reply, files: fault.files };
        return;
      case "too many files":
        draft.reply = { ...draft.reply, files: Array(fault.count).fill("eventfd") };
        return;
      case "pace":
        draft.pieceBytes = fault.pieceBytes;
        draft.pieceMs = fault.waitMs;
        return;
      case "wait":
        return void Bun.sleepSync(fault.ms);
      case "silence":
        draft.times = 0;
        return;
      case "twice":
        draft.times *= 2;
        return;
      case "old":
        if (this.#lastReply.byteLength > 0) draft.before.push(this.#lastReply);
        if (!fault.also) draft.times = 0;
        return;
      default:
        return this.#applyMore(fault, draft);
    }
  }

  #applyMore(
    fault: Exclude<
      Fault,
      {
        kind:
          | "header"
          | "refuse"
          | "word"
          | "length"
          | "version"
          | "region"
          | "files"
          | "too many files"
          | "pace"
          | "wait"
          | "silence"
          | "twice"
          | "old";
      }
    >,
    draft: Draft,
  ): void {
    switch (fault.kind) {
      case "requests": {
        const { command, address, count, noReply } = fault;
        const isWrite = command === Command.DMA_WRITE;
        const dataBytes = fault.dataBytes >= 0 ? fault.dataBytes : isWrite ? Number(count & 0x1fffn) : 0;
        const payload = concat(pack("88", address, count), new Uint8Array(dataBytes));
        for (let i = 0; i < fault.times; i++)
          draft.before.push(messageOf(1000 + i, command, payload, noReply ? NO_REPLY : 0));
        return;
      }
      case "flood":
        draft.times = 0;
        return this.#flood(fault.ms, fault.noReply);
      case "noise":
        draft.before.push(new Uint8Array(fault.bytes));
        return;
      case "leave":
        draft.leaveAfter = fault.sentBytes;
        return;
      case "truncate":
        for (const kind of ["sealed", "loose", "growing"] as const) this.#files.resize(kind, fault.sizeBytes);
        return;
      case "signal": {
        const one = new BigUint64Array(new ArrayBuffer(8)).fill(1n);
        for (let i = 0; i < fault.times && this.#eventFds.length > 0; i++)
          libc.write(this.#eventFds[i % this.#eventFds.length]!.number, ptr(one), 8);
        return;
      }
    }
  }

  /** Sends requests as fast as the client takes them, and receives its answers. */
  #flood(ms: number, noReply: boolean): void {
    const one = messageOf(7, Command.DMA_READ, pack("88", 2 ** 32, 8), noReply ? NO_REPLY : 0);
    const batch = concat(...Array(FLOOD_BATCH).fill(one));
    for (const deadlineMs = performance.now() + ms; performance.now() < deadlineMs; ) {
      this.#stream.send(noReply ? batch : one, [], SEND_MS);
      while (this.#stream.readable()) this.#receive();
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#eventFds) fd[Symbol.dispose]();
    this.#stream[Symbol.dispose]();
  }
}

function isWrongRead({ request, reply, id, command, flags, times }: Draft): boolean {
  if (request.command !== Command.REGION_READ || times === 0) return false;
  const isBar = request.payload.getUint32(8, true) < BARS;
  const isSame = (id & 0xffff) === request.id && (command & 0xffff) === request.command && flags === REPLY;
  return isBar && !(isSame && reply.payload.byteLength === 16 + request.payload.getUint32(12, true));
}
