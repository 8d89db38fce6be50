/**
 * A PCI device behind a vfio-user server: the client's side of the protocol. Requests wait for their reply on the
 * calling thread, which takes microseconds on a local socket, and each has a time limit.
 */
import { fstatSync } from "node:fs";
import { errnoName, SystemError } from "../../os/errno.ts";
import { EventFd } from "../../os/eventfd.ts";
import type { Fd } from "../../os/fd.ts";
import { createMemfd, type Mapping, mapShared, PAGE_SIZE } from "../../os/memory.ts";
import { Disconnected, FdStream, SocketTimeout } from "../../os/socket.ts";
import { CONFIG_BYTES, Config, Command as PciCommand } from "../../pci/config.ts";
import { DeviceError, type DmaMemory, type InterruptKind, type PciDevice, type Region } from "../device.ts";
import {
  Command,
  commandName,
  DeviceFlag,
  DmaFlag,
  getVersion,
  IrqIndex,
  IrqSet,
  MAX_DATA_BYTES,
  type Message,
  MessageStream,
  ProtocolError,
  putVersion,
  RegionFlag,
  RegionIndex,
  SPARSE_MMAP_CAP,
  type SparseArea,
} from "./protocol.ts";
import { type MappedArea, messageConfigSpace, openRegion, type RegionMessages } from "./region.ts";

/** How long a server may take to answer one request. */
const REPLY_TIMEOUT_MS = 5000;
/** DMA addresses are handed out from here on: above 4 GiB, so that an address cut to 32 bits is noticed. */
const FIRST_IOVA = 2 ** 32;
/** Capabilities of one region that are looked through; the kernel has three kinds. */
const MAX_CAPABILITIES = 16;

const irqIndexOf: Readonly<Record<InterruptKind, number>> = {
  intx: IrqIndex.INTX,
  msi: IrqIndex.MSI,
  msix: IrqIndex.MSIX,
};

interface RegionInfo {
  readonly flags: number;
  readonly sizeBytes: number;
  readonly areas: readonly MappedArea[];
}

/**
 * Speaks VERSION on a connected socket and reads what the device offers. Owns the socket, also when it throws.
 * Throws DeviceError: no reply in time, a closed connection, a peer that speaks something else.
 */
export function openVfioUser(socket: Fd, spec: string): PciDevice {
  const client = new Client(socket, spec);
  try {
    return client.open();
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

class Client implements PciDevice {
  readonly spec: string;
  readonly #messages: MessageStream;
  #nextId = 0;
  #closed = false;
  /** The connection is of no use any more; why. */
  #broken: string | undefined;
  #maxDataBytes = MAX_DATA_BYTES;
  #canReset = false;
  #nextIova = FIRST_IOVA;
  readonly #dma = new Map<number, Dma>();
  readonly #mappings: Mapping[] = [];
  readonly #enabled = new Set<InterruptKind>();
  #regionCount = 0;
  #irqCount = 0;
  readonly #configMessages = this.#regionMessages(RegionIndex.CONFIG);
  config = messageConfigSpace(CONFIG_BYTES, this.#configMessages);
  bars: readonly Region[] = [];

  constructor(socket: Fd, spec: string) {
    this.spec = spec;
    this.#messages = new MessageStream(new FdStream(socket));
  }

  open(): PciDevice {
    const capabilities = { max_msg_fds: 16, max_data_xfer_size: MAX_DATA_BYTES, pgsizes: PAGE_SIZE };
    const version = this.#request(Command.VERSION, putVersion(this.#messages, capabilities));
    try {
      this.#maxDataBytes = Math.min(MAX_DATA_BYTES, getVersion(version.payload).max_data_xfer_size) & ~7;
    } catch (error) {
      throw this.#translate(error, Command.VERSION);
    }

    this.#messages.payload(16).setUint32(0, 16, true);
    const info = this.#exact(Command.DEVICE_GET_INFO, this.#request(Command.DEVICE_GET_INFO, 16), 16);
    const flags = info.getUint32(4, true);
    this.#canReset = (flags & DeviceFlag.RESET) !== 0;
    this.#regionCount = info.getUint32(8, true);
    this.#irqCount = info.getUint32(12, true);
    if (!(flags & DeviceFlag.PCI) || this.#regionCount <= RegionIndex.CONFIG) {
      throw this.#fail("the server's device is not a PCI device");
    }

    const bars: Region[] = [];
    for (let index = 0; index < 6; index++) {
      const region = this.#regionInfo(index);
      bars.push(openRegion(index, region.sizeBytes, region.areas, this.#regionMessages(index)));
    }
    this.bars = bars;
    this.config = messageConfigSpace(this.#regionInfo(RegionIndex.CONFIG).sizeBytes, this.#configMessages);
    const command = this.config.read16(Config.COMMAND);
    this.config.write16(Config.COMMAND, command | PciCommand.MEMORY | PciCommand.BUS_MASTER);
    return this;
  }

  /** DEVICE_GET_REGION_INFO, asked again with more room where the reply has capabilities that did not fit. */
  #regionInfo(index: number): RegionInfo {
    let argsz = 32;
    for (let round = 0; round < 2; round++) {
      const request = this.#messages.payload(32);
      request.setUint32(0, argsz, true);
      request.setUint32(8, index, true);
      const reply = this.#request(Command.DEVICE_GET_REGION_INFO, 32);
      try {
        const info = reply.payload;
        if (info.byteLength < 32)
          throw this.#fail(`region ${index}'s information is ${info.byteLength} bytes long`);
        const needed = info.getUint32(0, true);
        if (needed > argsz && needed <= 64 * 1024) {
          argsz = needed;
          continue;
        }
        const flags = info.getUint32(4, true);
        const sizeBytes = Number(info.getBigUint64(16, true));
        const fileOffset = Number(info.getBigUint64(24, true));
        if (!Number.isSafeInteger(sizeBytes) || !Number.isSafeInteger(fileOffset)) {
          throw this.#fail(`region ${index} is said to be ${sizeBytes} bytes long`);
        }
        const areas: SparseArea[] =
          flags & RegionFlag.CAPS ? this.#sparseAreas(info, sizeBytes) : [{ offset: 0, sizeBytes }];
        const mapped =
          flags & RegionFlag.MMAP && reply.fds[0]
            ? this.#mapAreas(index, areas, reply.fds[0], fileOffset)
            : [];
        return { flags, sizeBytes, areas: mapped };
      } finally {
        closeAll(reply.fds);
      }
    }
    throw this.#fail(`region ${index}'s information grows each time it is asked for`);
  }

  /** Follows the capability chain to the sparse-mmap capability; the whole region where there is none. */
  #sparseAreas(info: DataView, sizeBytes: number): SparseArea[] {
    let at = info.getUint32(12, true);
    for (let links = 0; at !== 0; links++) {
      if (links === MAX_CAPABILITIES) throw this.#fail("a region's capabilities are linked in a circle");
      if (at < 32 || at + 8 > info.byteLength)
        throw this.#fail(`a region's capability lies at ${at} of ${info.byteLength} bytes`);
      if (info.getUint16(at, true) === SPARSE_MMAP_CAP.ID) {
        const first = at + SPARSE_MMAP_CAP.HEADER_BYTES;
        const count = first <= info.byteLength ? info.getUint32(at + 8, true) : Number.POSITIVE_INFINITY;
        if (first + count * SPARSE_MMAP_CAP.AREA_BYTES > info.byteLength) {
          throw this.#fail(`a region's list of ${count} areas does not fit its message`);
        }
        return Array.from({ length: count }, (_, i) => {
          const area = first + i * SPARSE_MMAP_CAP.AREA_BYTES;
          return {
            offset: Number(info.getBigUint64(area, true)),
            sizeBytes: Number(info.getBigUint64(area + 8, true)),
          };
        });
      }
      at = info.getUint32(at + 4, true);
    }
    return [{ offset: 0, sizeBytes }];
  }

  #mapAreas(index: number, areas: readonly SparseArea[], fd: Fd, fileOffset: number): MappedArea[] {
    const fileBytes = fstatSync(fd.number).size;
    return areas.map(({ offset, sizeBytes }) => {
      const at = fileOffset + offset;
      if (sizeBytes === 0 || at % PAGE_SIZE !== 0 || at + sizeBytes > fileBytes) {
        throw this.#fail(
          `region ${index} offers ${sizeBytes} bytes at ${at} of a file of ${fileBytes} bytes to map`,
        );
      }
      try {
        const mapping = mapShared(fd.number, sizeBytes, at);
        this.#mappings.push(mapping);
        return { offset, mapping };
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        throw this.#fail(`region ${index} offers a file to map that can't be mapped: ${error.message}`);
      }
    });
  }

  #regionMessages(index: number): RegionMessages {
    const client = this;
    const access = (offset: number, count: number, dataBytes: number): DataView => {
      const view = client.#messages.payload(16 + dataBytes);
      view.setBigUint64(0, BigInt(offset), true);
      view.setUint32(8, index, true);
      view.setUint32(12, count, true);
      return view;
    };
    return {
      get maxDataBytes() {
        return client.#maxDataBytes;
      },
      read: (offset, sizeBytes) => {
        access(offset, sizeBytes, 0);
        const { payload } = client.#request(Command.REGION_READ, 16);
        if (payload.byteLength !== 16 + sizeBytes) {
          throw client.#fail(
            `region ${index} answered a read of ${sizeBytes} bytes at 0x${offset.toString(16)} with a payload of ${payload.byteLength} bytes, not ${16 + sizeBytes}`,
          );
        }
        return new DataView(payload.buffer, payload.byteOffset + 16, sizeBytes);
      },
      write: (offset, bytes, posted) => {
        const view = access(offset, bytes.byteLength, bytes.byteLength);
        new Uint8Array(view.buffer, view.byteOffset + 16, bytes.byteLength).set(bytes);
        if (posted) client.#post(Command.REGION_WRITE, view.byteLength);
        else client.#request(Command.REGION_WRITE, view.byteLength);
      },
    };
  }

  interruptCount(kind: InterruptKind): number {
    const index = irqIndexOf[kind];
    if (index >= this.#irqCount) return 0;
    const request = this.#messages.payload(16);
    request.setUint32(0, 16, true);
    request.setUint32(8, index, true);
    const reply = this.#request(Command.DEVICE_GET_IRQ_INFO, 16);
    return this.#exact(Command.DEVICE_GET_IRQ_INFO, reply, 16).getUint32(12, true);
  }

  enableInterrupts(kind: InterruptKind, count: number): EventFd[] {
    const eventFds = Array.from({ length: count }, () => new EventFd());
    try {
      this.#setIrqs(kind, IrqSet.DATA_EVENTFD, eventFds);
    } catch (error) {
      for (const eventFd of eventFds) eventFd[Symbol.dispose]();
      throw error;
    }
    this.#enabled.add(kind);
    return eventFds;
  }

  disableInterrupts(kind: InterruptKind): void {
    this.#enabled.delete(kind);
    this.#setIrqs(kind, IrqSet.DATA_NONE, []);
  }

  #setIrqs(kind: InterruptKind, data: number, eventFds: readonly EventFd[]): void {
    const view = this.#messages.payload(20);
    view.setUint32(0, 20, true);
    view.setUint32(4, data | IrqSet.ACTION_TRIGGER, true);
    view.setUint32(8, irqIndexOf[kind], true);
    view.setUint32(16, eventFds.length, true);
    this.#request(
      Command.DEVICE_SET_IRQS,
      20,
      eventFds.map((eventFd) => eventFd.fd.number),
    );
  }

  allocateDma(sizeBytes: number): DmaMemory {
    const roundedBytes = Math.ceil(sizeBytes / PAGE_SIZE) * PAGE_SIZE;
    using fd = createMemfd("vfiokit-dma", roundedBytes);
    const mapping = mapShared(fd.number, roundedBytes);
    const dma = new Dma(this.#nextIova, mapping, () => this.#unmapDma(dma));
    this.#dmaMessage(Command.DMA_MAP, dma, DmaFlag.READ | DmaFlag.WRITE, [fd.number]);
    this.#nextIova += roundedBytes;
    this.#dma.set(dma.iova, dma);
    return dma;
  }

  #unmapDma(dma: Dma): void {
    this.#dma.delete(dma.iova);
    if (!this.#closed && this.#broken === undefined) this.#dmaMessage(Command.DMA_UNMAP, dma, 0, []);
  }

  /** DMA_MAP: u32 argsz 32, flags, u64 offset in the file, iova, size. DMA_UNMAP: argsz 24, flags, iova, size. */
  #dmaMessage(command: number, dma: Dma, flags: number, fds: readonly number[]): void {
    const sizeBytes = command === Command.DMA_MAP ? 32 : 24;
    const view = this.#messages.payload(sizeBytes);
    view.setUint32(0, sizeBytes, true);
    view.setUint32(4, flags, true);
    view.setBigUint64(sizeBytes - 16, BigInt(dma.iova), true);
    view.setBigUint64(sizeBytes - 8, BigInt(dma.sizeBytes), true);
    try {
      this.#request(command, sizeBytes, fds);
    } catch (error) {
      dma.unmapHere();
      throw error;
    }
  }

  reset(): void {
    if (!this.#canReset) throw new DeviceError(`${this.spec}: the server's device offers no reset`);
    this.#request(Command.DEVICE_RESET, 0);
    const command = this.config.read16(Config.COMMAND);
    this.config.write16(Config.COMMAND, command | PciCommand.MEMORY | PciCommand.BUS_MASTER);
  }

  /**
   * Sends a request and waits for its reply, serving the server's own DMA requests meanwhile. Only with a region's
   * information do descriptors come that the caller has to close.
   */
  #request(command: number, payloadBytes: number, fds: readonly number[] = []): Message {
    const id = this.#send(command, payloadBytes, fds, false);
    const deadline = performance.now() + REPLY_TIMEOUT_MS;
    try {
      for (;;) {
        const message = this.#messages.receive(Math.max(0, deadline - performance.now()));
        if (!message.reply) {
          this.#serve(message);
          continue;
        }
        if (message.id !== id || message.command !== command) {
          closeAll(message.fds);
          throw new ProtocolError(
            `a reply to ${commandName(message.command)} ${message.id} came for ${commandName(command)} ${id}`,
          );
        }
        if (message.errno) {
          closeAll(message.fds);
          throw new DeviceError(
            `${this.spec}: the server refused ${commandName(command)}: ${errnoName(message.errno)}`,
          );
        }
        if (command !== Command.DEVICE_GET_REGION_INFO) closeAll(message.fds);
        return message;
      }
    } catch (error) {
      throw this.#translate(error, command);
    }
  }

  #post(command: number, payloadBytes: number): void {
    this.#send(command, payloadBytes, [], true);
  }

  #send(command: number, payloadBytes: number, fds: readonly number[], noReply: boolean): number {
    if (this.#closed) throw new DeviceError(`${this.spec} is closed; ${commandName(command)} can't be sent`);
    if (this.#broken !== undefined) throw new DeviceError(this.#broken);
    const id = this.#nextId;
    this.#nextId = (id + 1) & 0xffff;
    try {
      this.#messages.send(
        { id, command, reply: false, noReply, errno: 0 },
        payloadBytes,
        fds,
        REPLY_TIMEOUT_MS,
      );
    } catch (error) {
      throw this.#translate(error, command);
    }
    return id;
  }

  /** DMA_READ and DMA_WRITE from a server that does not map our memory itself. */
  #serve(message: Message): void {
    closeAll(message.fds);
    const { id, command, payload } = message;
    const reply = (payloadBytes: number, errno = 0) => {
      if (!message.noReply)
        this.#messages.send({ id, command, reply: true, noReply: false, errno }, payloadBytes);
    };
    const address = payload.byteLength >= 16 ? Number(payload.getBigUint64(0, true)) : -1;
    const count = payload.byteLength >= 16 ? Number(payload.getBigUint64(8, true)) : 0;
    const memory = [...this.#dma.values()].find(
      (dma) => address >= dma.iova && address + count <= dma.iova + dma.sizeBytes,
    );
    const isWrite = command === Command.DMA_WRITE;
    if (command !== Command.DMA_READ && !isWrite) return reply(0, ENOTSUP);
    if (!memory || count > MAX_DATA_BYTES || (isWrite && payload.byteLength !== 16 + count))
      return reply(0, EINVAL);
    const part = memory.bytes(address - memory.iova, count);
    if (isWrite) part.set(new Uint8Array(payload.buffer, payload.byteOffset + 16, count));
    const out = this.#messages.payload(isWrite ? 16 : 16 + count);
    out.setBigUint64(0, BigInt(address), true);
    out.setBigUint64(8, BigInt(count), true);
    if (!isWrite) new Uint8Array(out.buffer, out.byteOffset + 16, count).set(part);
    reply(out.byteLength);
  }

  /** The fixed part of a reply, checked. */
  #exact(command: number, reply: Message, sizeBytes: number): DataView {
    if (reply.payload.byteLength < sizeBytes) {
      throw this.#fail(
        `the reply to ${commandName(command)} has ${reply.payload.byteLength} bytes of at least ${sizeBytes}`,
      );
    }
    return reply.payload;
  }

  #fail(why: string): DeviceError {
    return new DeviceError(`${this.spec}: ${why}`);
  }

  #translate(error: unknown, command: number): unknown {
    // A RangeError is the caller's: nothing was sent.
    if (!(error instanceof Error) || error instanceof DeviceError || error instanceof RangeError)
      return error;
    const name = commandName(command);
    if (error instanceof Disconnected) {
      this.#broken = `${this.spec}: the server is gone (${name}: ${error.message}); start it again and open the device anew`;
    } else if (error instanceof SocketTimeout) {
      this.#broken = `${this.spec}: no answer to ${name} within ${REPLY_TIMEOUT_MS} ms; the server hangs, or is no vfio-user server`;
    } else if (error instanceof ProtocolError) {
      this.#broken = `${this.spec}: ${error.message}; is it a vfio-user server?`;
    } else {
      this.#broken = `${this.spec}: ${name} failed: ${error.message}`;
    }
    return new DeviceError(this.#broken, { cause: error });
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    try {
      if (this.bars.length && this.#broken === undefined) {
        this.config.write16(Config.COMMAND, this.config.read16(Config.COMMAND) & ~PciCommand.BUS_MASTER);
      }
      for (const kind of this.#enabled) this.disableInterrupts(kind);
      for (const dma of [...this.#dma.values()]) dma[Symbol.dispose]();
    } catch (error) {
      // A server that is gone has nothing left to give back; what is held here is released below.
      if (!(error instanceof DeviceError)) throw error;
    } finally {
      this.#closed = true;
      for (const dma of this.#dma.values()) dma.unmapHere();
      for (const mapping of this.#mappings) mapping[Symbol.dispose]();
      this.#messages.stream[Symbol.dispose]();
    }
  }
}

/** asm-generic/errno-base.h and errno.h, as the protocol carries them. */
const EINVAL = 22;
const ENOTSUP = 95;

class Dma implements DmaMemory {
  readonly iova: number;
  readonly address: number;
  readonly sizeBytes: number;
  readonly #mapping: Mapping;
  readonly #unmapThere: () => void;
  #held = true;

  constructor(iova: number, mapping: Mapping, unmapThere: () => void) {
    this.iova = iova;
    this.address = mapping.address;
    this.sizeBytes = mapping.sizeBytes;
    this.#mapping = mapping;
    this.#unmapThere = unmapThere;
  }

  bytes(offset?: number, sizeBytes?: number): Uint8Array<ArrayBuffer> {
    return this.#mapping.bytes(offset, sizeBytes);
  }

  unmapHere(): void {
    this.#held = false;
    this.#mapping[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (!this.#held) return;
    this.#held = false;
    this.#unmapThere();
    this.#mapping[Symbol.dispose]();
  }
}

function closeAll(fds: readonly Fd[]): void {
  for (const fd of fds) fd[Symbol.dispose]();
}
