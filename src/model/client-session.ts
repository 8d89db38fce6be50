/** One client of a device model, from its VERSION on: carries out and answers each of its messages. */
import { constants } from "node:os";
import { SystemError } from "../os/errno.ts";
import type { Fd } from "../os/fd.ts";
import { Disconnected, FdStream, SocketTimeout } from "../os/socket.ts";
import { CONFIG_BYTES } from "../pci/config-offsets.ts";
import { MAX_DATA_BYTES } from "../protocol/limits.ts";
import { DeviceFlag, DMA_UNMAP_ALL, IrqIndex, RegionFlag, RegionIndex } from "../protocol/vfio.ts";
import {
  Command,
  getVersion,
  type Message,
  MessageStream,
  ProtocolError,
  putVersion,
} from "../protocol/vfio-user.ts";
import { type DeviceModel, HandlerError, RequestError } from "./device-model.ts";
import { DmaMapError, type DmaTable } from "./dma.ts";
import { DmaRequests } from "./dma-requests.ts";
import { FunctionAccess } from "./function-access.ts";
import { type Interrupts, IrqError } from "./interrupts.ts";
import { MESSAGE_MS } from "./limits.ts";

const { EINVAL, EIO, ENOTSUP } = constants.errno;

export class ClientSession implements Disposable {
  readonly #messages: MessageStream;
  readonly #model: DeviceModel;
  readonly #dma: DmaTable;
  readonly #interrupts: Interrupts;
  readonly #access: FunctionAccess;
  readonly #log: (line: string) => void;
  readonly #requests: DmaRequests;
  #agreed: boolean;
  /** Whether a refused DMA mapping was already logged: once is enough. */
  #told = false;

  constructor(
    fd: Fd,
    model: DeviceModel,
    dma: DmaTable,
    interrupts: Interrupts,
    log: (line: string) => void,
    agreed = false,
  ) {
    const stream = new FdStream(fd);
    this.#messages = new MessageStream(stream);
    this.#requests = new DmaRequests(stream);
    dma.messages = this.#requests;
    this.#model = model;
    this.#dma = dma;
    this.#interrupts = interrupts;
    this.#access = new FunctionAccess(model, interrupts);
    this.#log = log;
    this.#agreed = agreed;
  }

  get fd(): Fd {
    return this.#messages.stream.fd;
  }

  /** Whether a message was received and waits to be handled. */
  get hasWaiting(): boolean {
    return this.#requests.hasKept;
  }

  /** Throws what the client did while the device asked it for memory: Disconnected, SocketTimeout, ProtocolError. */
  check(): void {
    this.#requests.check();
  }

  [Symbol.dispose](): void {
    this.#dma.messages = undefined;
    this.#requests[Symbol.dispose]();
    const { stream } = this.#messages;
    stream.hangUp(); // a standby may have a copy of it
    stream[Symbol.dispose]();
  }

  /** Receives and answers one message. Throws Disconnected, SocketTimeout, ProtocolError: drop the client. */
  handleOne(): void {
    const message = this.#requests.take() ?? this.#receive();
    const fds = message.fds;
    let replyBytes = 0;
    let errno = 0;
    const replyFds: number[] = [];
    try {
      if (message.reply) throw new ProtocolError("a reply to a request that was never sent");
      if (!this.#agreed && message.command !== Command.VERSION)
        throw new ProtocolError("the first message is not VERSION");
      replyBytes = this.#handle(message, replyFds);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      errno = errnoOf(error);
      replyBytes = 0;
      if (error instanceof DmaMapError) this.#refused(error);
    } finally {
      for (const fd of fds) fd[Symbol.dispose]();
    }
    this.check();
    if (message.noReply) return;
    this.#messages.send(
      { id: message.id, command: message.command, reply: true, noReply: false, errno },
      replyBytes,
      replyFds,
    );
  }

  /** Logs the reason: the client itself may report only that memory was refused, or exit. */
  #refused(error: DmaMapError): void {
    if (!this.#told) this.#log(`did not map memory of the client: ${error.message}`);
    this.#told = true;
  }

  /** Throws Disconnected, SocketTimeout, ProtocolError: any other error means an invalid message. */
  #receive(): Message {
    try {
      return this.#messages.receive(MESSAGE_MS, MESSAGE_MS);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof Disconnected || error instanceof SocketTimeout)
        throw error;
      throw new ProtocolError(error.message, { cause: error });
    }
  }

  /** Carries out a request and builds the reply's payload. Returns its size. The caller closes the rest of `fds`. */
  #handle({ command, payload, fds }: Message, replyFds: number[]): number {
    switch (command) {
      case Command.VERSION: {
        this.#requests.maxDataBytes = Math.min(MAX_DATA_BYTES, getVersion(payload).max_data_xfer_size);
        this.#agreed = true;
        return putVersion(this.#messages, { max_msg_fds: 8, max_data_xfer_size: MAX_DATA_BYTES });
      }
      case Command.DMA_MAP: {
        need(payload, 32);
        const [offset, iova, size] = [u64(payload, 8), u64(payload, 16), u64(payload, 24)];
        this.#dma.map(iova, size, payload.getUint32(4, true), fds[0], offset);
        return 0;
      }
      case Command.DMA_UNMAP: {
        need(payload, 24);
        const flags = payload.getUint32(4, true);
        if (flags === DMA_UNMAP_ALL) this.#dma.unmapAll();
        else if (flags === 0) this.#dma.unmap(u64(payload, 8), u64(payload, 16));
        else throw new RequestError(ENOTSUP);
        return this.#echo(payload, 24);
      }
      case Command.DEVICE_GET_INFO: {
        need(payload, 16);
        const reply = this.#messages.payload(16);
        reply.setUint32(0, 16, true);
        reply.setUint32(4, DeviceFlag.RESET | DeviceFlag.PCI, true);
        reply.setUint32(8, RegionIndex.COUNT, true);
        reply.setUint32(12, IrqIndex.COUNT, true);
        return 16;
      }
      case Command.DEVICE_GET_REGION_INFO:
        return this.#regionInfo(payload, replyFds);
      case Command.DEVICE_GET_IRQ_INFO: {
        need(payload, 16);
        const index = payload.getUint32(8, true);
        if (index >= IrqIndex.COUNT) throw new RequestError(EINVAL);
        const { flags, count } = this.#interrupts.info(index);
        const reply = this.#messages.payload(16);
        reply.setUint32(0, 16, true);
        reply.setUint32(4, flags, true);
        reply.setUint32(8, index, true);
        reply.setUint32(12, count, true);
        return 16;
      }
      case Command.DEVICE_SET_IRQS: {
        need(payload, 20);
        const at = (offset: number) => payload.getUint32(offset, true);
        const data = new Uint8Array(payload.buffer, payload.byteOffset + 20, payload.byteLength - 20);
        this.#interrupts.set(at(4), at(8), at(12), at(16), data, fds);
        return 0;
      }
      case Command.REGION_READ:
        return this.#read(payload);
      case Command.REGION_WRITE: {
        need(payload, 16);
        const count = payload.getUint32(12, true);
        if (count > MAX_DATA_BYTES || payload.byteLength !== 16 + count) throw new RequestError(EINVAL);
        const offset = u64(payload, 0);
        const target = this.#access.locate(payload.getUint32(8, true), offset, count);
        this.#access.write(target, offset, new Uint8Array(payload.buffer, payload.byteOffset + 16, count));
        return this.#echo(payload, 16);
      }
      case Command.DEVICE_RESET:
        this.#access.reset();
        return 0;
      default:
        throw new RequestError(ENOTSUP);
    }
  }

  #echo(payload: DataView, sizeBytes: number): number {
    const head = new Uint8Array(payload.buffer, payload.byteOffset, sizeBytes);
    const reply = this.#messages.payload(sizeBytes);
    new Uint8Array(reply.buffer, reply.byteOffset, sizeBytes).set(head);
    return sizeBytes;
  }

  #regionInfo(payload: DataView, replyFds: number[]): number {
    need(payload, 32);
    const index = payload.getUint32(8, true);
    if (index >= RegionIndex.COUNT) throw new RequestError(EINVAL);
    const bar = this.#model.bars[index];
    const sizeBytes = index === RegionIndex.CONFIG ? CONFIG_BYTES : (bar?.sizeBytes ?? 0);
    let flags = sizeBytes ? RegionFlag.READ | RegionFlag.WRITE : 0;
    if (bar?.kind === "memory") {
      flags |= RegionFlag.MMAP;
      replyFds.push(bar.fd);
    }
    const reply = this.#messages.payload(32);
    reply.setUint32(0, 32, true);
    reply.setUint32(4, flags, true);
    reply.setUint32(8, index, true);
    reply.setBigUint64(16, BigInt(sizeBytes), true);
    return 32;
  }

  #read(payload: DataView): number {
    need(payload, 16);
    const [offset, index, count] = [u64(payload, 0), payload.getUint32(8, true), payload.getUint32(12, true)];
    if (count > MAX_DATA_BYTES) throw new RequestError(EINVAL);
    const target = this.#access.locate(index, offset, count);
    // The model may ask the client for memory while it reads, but with buffers of its own.
    const reply = this.#messages.payload(16 + count);
    reply.setBigUint64(0, BigInt(offset), true);
    reply.setUint32(8, index, true);
    reply.setUint32(12, count, true);
    this.#access.read(target, offset, new Uint8Array(reply.buffer, reply.byteOffset + 16, count));
    return 16 + count;
  }
}

function need(payload: DataView, sizeBytes: number): void {
  if (payload.byteLength < sizeBytes) throw new RequestError(EINVAL);
}

/** A message's u64 as a number; infinity if it is too large to be exact, which every range check rejects. */
function u64(view: DataView, offset: number): number {
  const value = view.getBigUint64(offset, true);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.POSITIVE_INFINITY;
}

function errnoOf(error: unknown): number {
  if (error instanceof RequestError || error instanceof DmaMapError || error instanceof SystemError)
    return error.errno;
  if (error instanceof IrqError) return EINVAL;
  if (error instanceof HandlerError) return EIO;
  throw error;
}
