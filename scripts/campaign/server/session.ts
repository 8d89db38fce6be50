/** Carries a session out on a connection. */
import { createMemfd, type Mapping, mapShared } from "../../../src/os/memory.ts";
import { FdStream } from "../../../src/os/socket.ts";
import { Config } from "../../../src/pci/config-offsets.ts";
import { MAX_DATA_BYTES } from "../../../src/protocol/limits.ts";
import { RegionIndex } from "../../../src/protocol/vfio.ts";
import { Command } from "../../../src/protocol/vfio-user.ts";
import { registers } from "../../../src/vp9/contract/registers.ts";
import type { Counts } from "../campaign.ts";
import { concat, pack, sendWithFds } from "../raw-client.ts";
import { type Asked, Conversation } from "./conversation.ts";
import { eduWork } from "./edu.ts";
import { Files, mappableBytesOf } from "./files.ts";
import { type Fate, messageOf, messagesOf, type Outgoing } from "./messages.ts";
import type { ServedModel } from "./models.ts";
import { nvmeWork } from "./nvme.ts";
import type { Ending, MessageOperation, Operation, Session } from "./operations.ts";
import { streamWork } from "./streams.ts";
import { maxDataBytesOf, payloadOf, type Version } from "./versions.ts";
import { RAM_BYTES, type Work } from "./work.ts";

/** Throws Error: what the server did wrong. */
export function carryOutSession(server: ServedModel, session: Session): Counts {
  using running = new RunningSession(server, session);
  running.run();
  return running.counts();
}

class RunningSession implements Disposable {
  readonly #server: ServedModel;
  readonly #session: Session;
  readonly #held = new DisposableStack();
  readonly #files = this.#held.use(new Files());
  readonly #talk: Conversation;
  #ram: { readonly fd: number; readonly mapping: Mapping } | undefined;
  #agreed = false;
  #maxDataBytes = MAX_DATA_BYTES;
  #works = 0;
  #frames = 0;
  /** The memory's address for the device. */
  #ramIova = 0;

  constructor(server: ServedModel, session: Session) {
    this.#server = server;
    this.#session = session;
    this.#talk = this.#held.use(
      new Conversation(server.connect(), session.pieceBytes, (asked) => this.#answer(asked)),
    );
  }

  run(): void {
    const { version, operations, ending } = this.#session;
    if (version) this.#negotiate(version);
    for (const operation of operations) if (!this.#talk.ended) this.#do(operation);
    if (!this.#talk.ended) this.#end(ending);
  }

  counts(): Counts {
    const { messages, replies, refusals, asked, ended } = this.#talk;
    return {
      sessions: 1,
      [`sessions with ${this.#server.name}`]: 1,
      [`sessions that end with ${ended ? "the server's hanging up" : this.#session.ending.kind}`]: 1,
      ...{
        messages,
        replies,
        refusals,
        "requests of the server's": asked,
        "pieces of work": this.#works,
        "frames encoded": this.#frames,
      },
    };
  }

  #do(operation: Operation): void {
    switch (operation.kind) {
      case "message":
        return this.#messages(operation);
      case "stream":
        return this.#work(streamWork(operation));
      case "edu":
        return this.#work(eduWork(operation));
      case "nvme":
        return this.#work(nvmeWork(operation));
      case "version":
        return this.#negotiate(operation.version);
      case "resize":
        this.#talk.settle();
        return this.#files.resize(operation.file, operation.sizeBytes);
      case "pause":
        this.#talk.settle();
        return void Bun.sleepSync(operation.ms);
      case "bystander": {
        const fd = this.#tryToConnect();
        if (fd && operation.bytes > 0) fd.send(new Uint8Array(operation.bytes));
        return;
      }
    }
  }

  /** Undefined if others wait already. */
  #tryToConnect(): FdStream | undefined {
    const fd = this.#server.tryToConnect();
    return fd && this.#held.use(new FdStream(fd));
  }

  #send(out: Outgoing): void {
    this.#talk.send(this.#agreed || out.command === Command.VERSION ? out : { ...out, fate: "end" });
  }

  #negotiate(version: Version): void {
    const { payload, isTaken } = payloadOf(version);
    const id = this.#talk.nextId();
    const fate: Fate = isTaken === undefined ? "answer or end" : isTaken ? "answer" : "end";
    const bytes = messageOf(id, Command.VERSION, payload);
    this.#send({ bytes, fds: [], fate, id, command: Command.VERSION, answerBytes: 80 });
    this.#talk.settle();
    if (this.#talk.ended) return;
    this.#agreed = true;
    this.#maxDataBytes = maxDataBytesOf(version);
  }

  #messages(operation: MessageOperation): void {
    const fds = operation.files.map((kind) => this.#files.get(kind));
    const mappableBytes = operation.files[0] && mappableBytesOf(operation.files[0]);
    for (const out of messagesOf(operation, fds, () => this.#talk.nextId(), mappableBytes)) {
      if (this.#talk.ended) return;
      this.#send(out);
    }
  }

  #request(command: number, payload: Uint8Array, fds: readonly number[] = [], mappableBytes?: number): void {
    const id = this.#talk.nextId();
    const bytes = messageOf(id, command, payload);
    this.#send({ bytes, fds, fate: "answer", id, command, answerBytes: 32, mappableBytes });
  }

  #write(region: number, offset: number, data: Uint8Array): void {
    this.#request(Command.REGION_WRITE, concat(pack("844", offset, region, data.byteLength), data));
  }

  /** Lets the device reach the memory, and takes the steps. */
  #work({ iova, share, steps, waitMs = 0, mappedBytes = RAM_BYTES }: Work): void {
    this.#works++;
    const ram = this.#memory();
    this.#write(RegionIndex.CONFIG, Config.COMMAND, pack("2", 6));
    if (iova !== undefined) {
      this.#ramIova = iova;
      this.#request(
        Command.DMA_MAP,
        pack("44888", 32, 3, 0, iova, mappedBytes),
        share ? [ram.fd] : [],
        share ? RAM_BYTES : undefined,
      );
    }
    for (const { region, offset, bytes } of steps) {
      if (this.#talk.ended) return;
      if (bytes.byteLength === 0) continue;
      if (region === "memory") ram.mapping.bytes(offset, bytes.byteLength).set(bytes);
      else this.#write(region, offset, bytes);
    }
    this.#talk.settle();
    if (waitMs > 0) Bun.sleepSync(waitMs);
  }

  #memory(): { readonly fd: number; readonly mapping: Mapping } {
    if (!this.#ram) {
      const fd = this.#held.use(createMemfd("campaign-ram", RAM_BYTES));
      this.#ram = { fd: fd.number, mapping: this.#held.use(mapShared(fd.number, RAM_BYTES)) };
    }
    return this.#ram;
  }

  /** The server asks for memory. Throws Error: it may not ask that. */
  #answer({ id, command, payload }: Asked): { bytes: Uint8Array; fate: Fate } | undefined {
    const isWrite = command === Command.DMA_WRITE;
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    const count = payload.byteLength >= 16 ? Number(view.getBigUint64(8, true)) : -1;
    const isRight =
      (isWrite || command === Command.DMA_READ) &&
      count > 0 &&
      count <= this.#maxDataBytes &&
      payload.byteLength === 16 + (isWrite ? count : 0);
    if (!isRight)
      throw new Error(
        `the server asks for what it may not: command ${command}, ${Buffer.from(payload.subarray(0, 80)).toString("hex")}`,
      );
    const { answers } = this.#session;
    const kind = answers[Math.min(this.#talk.asked, answers.length) - 1] ?? "serve";
    if (kind === "leave") return undefined;
    if (kind === "refuse")
      return { bytes: messageOf(id, command, new Uint8Array(), 0x21, 14), fate: "answer" };
    const good = this.#serve(view, payload, count, isWrite);
    if (kind === "serve") return { bytes: messageOf(id, command, good, 1), fate: "answer" };
    const sizeBytes = kind === "short" ? good.byteLength - 1 : good.byteLength + (kind === "long" ? 8 : 0);
    const odd = new Uint8Array(sizeBytes);
    odd.set(good.subarray(0, sizeBytes));
    const [oddId, oddCommand] = [kind === "id" ? id ^ 1 : id, kind === "command" ? command ^ 7 : command];
    return { bytes: messageOf(oddId, oddCommand, odd, 1), fate: "end" };
  }

  /** The payload of the right answer. Memory that there is not reads as zeros. */
  #serve(view: DataView, payload: Uint8Array, count: number, isWrite: boolean): Uint8Array {
    const offset = Number(view.getBigUint64(0, true)) - this.#ramIova;
    const part = offset >= 0 && offset + count <= RAM_BYTES && this.#memory().mapping.bytes(offset, count);
    const reply = new Uint8Array(16 + (isWrite ? 0 : count));
    reply.set(payload.subarray(0, 16));
    if (part && isWrite) part.set(payload.subarray(16));
    else if (part) reply.set(part, 16);
    return reply;
  }

  /** Frames that the encoder has completed without error since it was reset; 0 if its registers can't be read. */
  #framesDone(): number {
    const id = this.#talk.nextId();
    const bytes = messageOf(id, Command.REGION_READ, pack("844", registers.FRAMES_LO.offset, 0, 4));
    this.#send({ bytes, fds: [], fate: "answer", id, command: Command.REGION_READ, answerBytes: 20 });
    this.#talk.settle();
    const frames =
      this.#talk.lastPayload.byteLength === 20
        ? new DataView(this.#talk.lastPayload.buffer).getUint32(16, true)
        : 0;
    return frames === 0xffff_ffff ? 0 : frames;
  }

  #end(ending: Ending): void {
    if (ending.kind === "close") {
      if (this.#works > 0 && this.#session.model === "vp9") this.#frames = this.#framesDone();
      if (this.#talk.ended) return;
      // Its answer shows that nothing came which was not due.
      this.#request(Command.DEVICE_GET_INFO, pack("4444", 16, 0, 0, 0));
      return this.#talk.settle();
    }
    this.#talk.settle();
    if (this.#talk.ended) return;
    if (ending.kind === "noise") return this.#talk.writeAll([part(new Uint8Array(ending.bytes))]);
    if (ending.kind === "descriptors") {
      const fds = Array(ending.count).fill(this.#files.get("eventfd"));
      return sendWithFds(this.#talk.fd, messageOf(0, Command.DEVICE_RESET, new Uint8Array()), fds);
    }
    const fds = ending.message.files.map((kind) => this.#files.get(kind));
    const [out] = [...messagesOf(ending.message, fds, () => this.#talk.nextId())];
    if (!out) return;
    const bytes = out.bytes.slice();
    if (ending.kind === "size") new DataView(bytes.buffer).setUint32(4, ending.sizeBytes, true);
    this.#talk.writeAll([part(ending.kind === "half" ? bytes.subarray(0, ending.sentBytes) : bytes, fds)]);
  }

  [Symbol.dispose](): void {
    this.#held.dispose();
  }
}

/** Bytes that get no answer which is awaited. */
function part(bytes: Uint8Array, fds: readonly number[] = []): Outgoing {
  return {
    bytes,
    fds: bytes.byteLength > 0 ? fds : [],
    fate: "answer or end",
    id: 0,
    command: 0,
    answerBytes: 0,
  };
}
