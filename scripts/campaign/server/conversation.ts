/** A connection to a server on which messages are sent many at a time, and each answer is held against its request. */
import type { Fd } from "../../../src/os/fd.ts";
import { Disconnected, FdStream } from "../../../src/os/socket.ts";
import { MAX_DATA_BYTES } from "../../../src/protocol/limits.ts";
import { commandName, HEADER_BYTES } from "../../../src/protocol/vfio-user.ts";
import { type Fate, mistakeOf, type Outgoing } from "./messages.ts";

/** How long the server may take for an answer. */
const ANSWER_MS = 4500;
/** Bounds of what is sent before answers are received: either side's socket has room for that, so that neither waits. */
const BATCH_MESSAGES = 96;
const BATCH_BYTES = 48 * 1024;
/** Into how many pieces bytes are divided at most: each is a system call. */
const MOST_PIECES = 4096;

/** A request of the server's. */
export interface Asked {
  readonly id: number;
  readonly command: number;
  readonly payload: Uint8Array;
}

/** Answers a request of the server's; undefined: hangs up instead. */
export type AnswerAsked = (asked: Asked) => { readonly bytes: Uint8Array; readonly fate: Fate } | undefined;

export class Conversation implements Disposable {
  readonly #stream: FdStream;
  readonly #pieceBytes: number;
  readonly #answer: AnswerAsked;
  readonly #header = new Uint8Array(new ArrayBuffer(HEADER_BYTES));
  readonly #headerView = new DataView(this.#header.buffer);
  #batch: Outgoing[] = [];
  #batchBytes = 0;
  #answerBytes = 0;
  /** Sent, and not answered yet. */
  readonly #waiting: Outgoing[] = [];
  #waitingFrom = 0;
  /** Whether the server may end the connection, because of what was sent. */
  #mayEnd = false;
  #nextId = 0;
  /** The server, or the answer to one of its requests, ended the connection. */
  ended = false;
  /** Of the last answer. */
  lastPayload = new Uint8Array(new ArrayBuffer(0));
  messages = 0;
  replies = 0;
  refusals = 0;
  /** Requests of the server's. */
  asked = 0;

  /** Takes ownership of the socket. */
  constructor(fd: Fd, pieceBytes: number | undefined, answer: AnswerAsked) {
    this.#stream = new FdStream(fd);
    this.#pieceBytes = pieceBytes ?? Number.POSITIVE_INFINITY;
    this.#answer = answer;
  }

  nextId(): number {
    return this.#nextId++ & 0xffff;
  }

  /** Sends it with others, at the latest by `settle`. Throws Error: what was wrong with an answer. */
  send(out: Outgoing): void {
    const full =
      this.#batch.length + this.#waiting.length >= BATCH_MESSAGES ||
      this.#batchBytes + out.bytes.byteLength > BATCH_BYTES ||
      this.#answerBytes + out.answerBytes > BATCH_BYTES;
    if (full) this.settle();
    if (out.fds.length > 0) this.#flush();
    this.#batch.push(out);
    this.#batchBytes += out.bytes.byteLength;
    this.#answerBytes += out.answerBytes;
    if (out.fds.length > 0) this.#flush();
  }

  /** Sends all, and receives all answers that are due. Throws Error: what was wrong with one, or that it did not come. */
  settle(): void {
    this.#flush();
    while (!this.ended && this.#waitingFrom < this.#waiting.length) this.#receive();
    this.#waiting.length = 0;
    this.#waitingFrom = 0;
    this.#batchBytes = 0;
    this.#answerBytes = 0;
  }

  /** Sends what was collected. */
  #flush(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    if (this.ended) return;
    for (const out of batch) {
      if (out.fate === "end" || out.fate === "answer or end") this.#mayEnd = true;
      if (out.fate !== "silence") this.#waiting.push(out);
    }
    this.messages += batch.length;
    const bytes = batch.length === 1 ? batch[0]!.bytes : Buffer.concat(batch.map((out) => out.bytes));
    this.write(bytes, batch[0]!.fds);
  }

  /** Sends bytes that are not whole messages. */
  write(bytes: Uint8Array, fds: readonly number[] = []): void {
    const pieceBytes = Math.max(this.#pieceBytes, Math.ceil(bytes.byteLength / MOST_PIECES));
    try {
      for (let at = 0; at < bytes.byteLength; at += pieceBytes)
        this.#stream.send(
          bytes.subarray(at, Math.min(bytes.byteLength, at + pieceBytes)),
          at === 0 ? fds : [],
        );
    } catch (error) {
      this.#end(error);
    }
  }

  /** Sends all without waiting for answers, whether the server may end the connection or not. */
  writeAll(out: Iterable<Outgoing>): void {
    this.settle();
    this.#mayEnd = true;
    for (const { bytes, fds } of out) if (!this.ended) this.write(bytes, fds);
  }

  /** The descriptor, for what FdStream does not do. */
  get fd(): Fd {
    return this.#stream.fd;
  }

  /** Receives one message. */
  #receive(): void {
    try {
      const fds = this.#stream.receive(this.#header, ANSWER_MS, true);
      for (const fd of fds) fd[Symbol.dispose]();
      const sizeBytes = this.#headerView.getUint32(4, true);
      if (sizeBytes < HEADER_BYTES || sizeBytes > HEADER_BYTES + 64 + MAX_DATA_BYTES)
        throw new Error(`the server sent a message that says it is ${sizeBytes} bytes long`);
      const payload = new Uint8Array(new ArrayBuffer(sizeBytes - HEADER_BYTES));
      if (payload.byteLength > 0) this.#stream.receive(payload, ANSWER_MS);
      this.#take(payload, fds.length);
    } catch (error) {
      this.#end(error);
    }
  }

  #take(payload: Uint8Array<ArrayBuffer>, fds: number): void {
    const [id, command] = [this.#headerView.getUint16(0, true), this.#headerView.getUint16(2, true)];
    const [flags, errno] = [this.#headerView.getUint32(8, true), this.#headerView.getUint32(12, true)];
    if (flags === 0 && errno === 0) return this.#takeRequest({ id, command, payload });
    const isError = flags === 0x21;
    if ((flags !== 1 && !isError) || isError !== errno > 0)
      throw new Error(
        `the server sent ${commandName(command)} with flags 0x${flags.toString(16)} and errno ${errno}`,
      );
    this.lastPayload = payload;
    const sent = this.#waiting[this.#waitingFrom++]!;
    this.replies++;
    if (isError) this.refusals++;
    const mistake =
      sent.id !== id || sent.command !== command
        ? `it is the answer to ${commandName(command)} ${id}`
        : sent.fate === "end"
          ? "the connection should have ended"
          : mistakeOf(sent, isError ? errno : 0, payload, fds);
    if (mistake !== undefined)
      throw new Error(
        `the answer to ${commandName(sent.command)} ${sent.id} is wrong: ${mistake}; the message was ${Buffer.from(sent.bytes.subarray(0, 80)).toString("hex")}`,
      );
  }

  #takeRequest(asked: Asked): void {
    this.asked++;
    const answer = this.#answer(asked);
    if (!answer) {
      this.ended = true;
      this.#stream.hangUp();
      return;
    }
    if (answer.fate !== "answer") this.#mayEnd = true;
    this.write(answer.bytes);
  }

  /** Takes the end of the connection, if a sent message allows it. Throws Error otherwise, and other errors as they are. */
  #end(error: unknown): void {
    const code = (error as { readonly code?: string }).code;
    if (!(error instanceof Disconnected) && code !== "ECONNRESET" && code !== "EPIPE") throw error;
    this.ended = true;
    if (this.#mayEnd) return;
    const due = this.#waiting[this.#waitingFrom];
    throw new Error(
      `the server ended the connection without a reason${due ? `, with ${commandName(due.command)} ${Buffer.from(due.bytes.subarray(0, 80)).toString("hex")} to answer` : ""}`,
    );
  }

  [Symbol.dispose](): void {
    this.#stream[Symbol.dispose]();
  }
}
