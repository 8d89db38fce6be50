/**
 * A PCI device behind a vfio-user server: the client's side of the protocol. A request blocks the calling
 * thread until its reply arrives, which takes microseconds on a local socket.
 */
import { fence } from "../../os/access.ts";
import type { Fd } from "../../os/fd.ts";
import { MAX_FDS } from "../../os/limits.ts";
import { PAGE_SIZE } from "../../os/memory.ts";
import { Config, isSilentCommand, Command as PciCommand } from "../../pci/config-offsets.ts";
import { openConfigSpace } from "../../pci/config-space.ts";
import { MAX_DATA_BYTES } from "../../protocol/limits.ts";
import { BARS, DeviceFlag, IrqIndex, IrqSet, RegionIndex } from "../../protocol/vfio.ts";
import { Command, commandName, getVersion, putVersion } from "../../protocol/vfio-user.ts";
import {
  type ConfigSpace,
  DeviceError,
  type DmaOptions,
  type Interrupt,
  type InterruptKind,
  type OpenOptions,
  type PciDevice,
  type Region,
} from "../device.ts";
import { REPLY_MS } from "../limits.ts";
import { openRegion, type RegionTransfers } from "../region.ts";
import { Connection, type ServeRequest } from "./connection.ts";
import { SharedMemories } from "./dma.ts";
import { VectorInterrupt } from "./interrupt.ts";
import { type RegionInfo, readRegionInfo } from "./region-info.ts";
import { RequestWatch } from "./request-watch.ts";

/** A function's header in configuration space, PCIe 6.0, section 7.5.1. */
const HEADER_BYTES = 64;

const irqIndexOf: Readonly<Record<InterruptKind, number>> = {
  intx: IrqIndex.INTX,
  msi: IrqIndex.MSI,
  msix: IrqIndex.MSIX,
  err: IrqIndex.ERR,
  req: IrqIndex.REQ,
};

/**
 * Negotiates VERSION on a connected socket and reads what the device offers. Owns the socket, even if it
 * throws. The first answer may take `startMs` if that exceeds the time limit, because the server may have
 * just been started. Throws DeviceError: no reply in time, a closed connection, a peer that speaks another
 * protocol.
 */
export function openVfioUser(socket: Fd, spec: string, options: OpenOptions, startMs = 0): PciDevice {
  const { timeoutMs = REPLY_MS, postWrites = false, shareMemory = true } = options;
  const memories = new SharedMemories(shareMemory);
  const serve: ServeRequest = (message) => memories.serve(connection, message);
  const connection: Connection = new Connection(socket, spec, serve, timeoutMs);
  const regions: RegionInfo[] = [];
  try {
    negotiate(connection, Math.max(timeoutMs, startMs));
    const { canReset, irqCount } = readDeviceInfo(connection);
    for (const index of [...Array(BARS).keys(), RegionIndex.CONFIG])
      regions.push(readRegionInfo(connection, index));
    const configBytes = regions[BARS]!.sizeBytes;
    if (configBytes < HEADER_BYTES)
      throw connection.error(
        `the server's configuration space has ${configBytes} bytes; its header alone has ${HEADER_BYTES}`,
      );
    // A server that needs answers from here for its DMA must not wait behind writes that wait for nothing.
    const posts = postWrites && shareMemory && connection.maxFds > 0;
    const client = new Client(connection, memories, regions, canReset, irqCount, posts);
    client.enable();
    return client;
  } catch (error) {
    release(connection, memories, regions);
    throw error;
  }
}

function negotiate(connection: Connection, timeoutMs: number): void {
  const capabilities = { max_msg_fds: MAX_FDS, max_data_xfer_size: MAX_DATA_BYTES, pgsizes: PAGE_SIZE };
  const payloadBytes = putVersion(connection.messages, capabilities);
  const { payload } = connection.request(Command.VERSION, payloadBytes, { timeoutMs });
  const { max_data_xfer_size, max_msg_fds } = connection.guard(commandName(Command.VERSION), timeoutMs, () =>
    getVersion(payload),
  );
  connection.maxDataBytes = Math.min(MAX_DATA_BYTES, max_data_xfer_size) & ~7;
  connection.maxFds = Math.min(MAX_FDS, max_msg_fds);
}

function readDeviceInfo(connection: Connection): { canReset: boolean; irqCount: number } {
  connection.messages.payload(16).setUint32(0, 16, true);
  const info = connection.requestFixed(Command.DEVICE_GET_INFO, 16, 16);
  const flags = info.getUint32(4, true);
  if (!(flags & DeviceFlag.PCI) || info.getUint32(8, true) <= RegionIndex.CONFIG) {
    throw connection.error("the server's device is not a PCI device");
  }
  return { canReset: (flags & DeviceFlag.RESET) !== 0, irqCount: info.getUint32(12, true) };
}

function release(connection: Connection, memories: SharedMemories, regions: readonly RegionInfo[]): void {
  try {
    memories[Symbol.dispose]();
  } finally {
    for (const { mapping } of regions.flatMap(({ areas }) => areas)) mapping[Symbol.dispose]();
    connection[Symbol.dispose]();
  }
}

/** REGION_READ and REGION_WRITE: u64 offset, u32 region, u32 count, data. A posted write gets no answer. */
function regionMessages(connection: Connection, index: number, postWrites: boolean): RegionTransfers {
  const access = (offset: number, count: number, dataBytes: number): DataView => {
    const view = connection.messages.payload(16 + dataBytes);
    view.setBigUint64(0, BigInt(offset), true);
    view.setUint32(8, index, true);
    view.setUint32(12, count, true);
    return view;
  };
  const name = index === RegionIndex.CONFIG ? "config" : `BAR${index}`;
  const of = (sizeBytes: number, offset: number) =>
    ` of ${sizeBytes} byte${sizeBytes === 1 ? "" : "s"} at ${name}:0x${offset.toString(16)}`;
  return {
    maxDataBytes: connection.maxDataBytes,
    read: (offset, sizeBytes) => {
      access(offset, sizeBytes, 0);
      const { payload } = connection.request(Command.REGION_READ, 16, { of: () => of(sizeBytes, offset) });
      if (payload.byteLength !== 16 + sizeBytes) {
        throw connection.error(
          `region ${index} answered a read of ${sizeBytes} bytes at 0x${offset.toString(16)} with a payload of ${payload.byteLength} bytes, not ${16 + sizeBytes}`,
        );
      }
      return new DataView(payload.buffer, payload.byteOffset + 16, sizeBytes);
    },
    write: (offset, bytes) => {
      const view = access(offset, bytes.byteLength, bytes.byteLength);
      new Uint8Array(view.buffer, view.byteOffset + 16, bytes.byteLength).set(bytes);
      if (postWrites) connection.post(Command.REGION_WRITE, view.byteLength);
      else
        connection.request(Command.REGION_WRITE, view.byteLength, { of: () => of(bytes.byteLength, offset) });
    },
  };
}

/** Whether a BAR has a size of I/O space, which is at most 256 bytes (PCI 3.0, section 6.2.5.1). */
function mayBeIo(regions: readonly RegionInfo[]): boolean {
  return regions.some(({ sizeBytes, areas }) => sizeBytes > 0 && sizeBytes <= 256 && areas.length === 0);
}

class Client implements PciDevice {
  readonly spec: string;
  readonly hasDma = true;
  readonly reachedBy = "vfio-user";
  readonly config: ConfigSpace;
  readonly bars: readonly Region[];
  readonly #connection: Connection;
  readonly #memories: SharedMemories;
  readonly #regions: readonly RegionInfo[];
  readonly #watch: RequestWatch;
  readonly #canReset: boolean;
  readonly #irqCount: number;
  readonly #enabled = new Set<InterruptKind>();
  /** The last ones of each kind, enabled or not: the caller may still read them. */
  readonly #interrupts = new Map<InterruptKind, readonly VectorInterrupt[]>();
  #closed = false;

  constructor(
    connection: Connection,
    memories: SharedMemories,
    regions: readonly RegionInfo[],
    canReset: boolean,
    irqCount: number,
    postWrites: boolean,
  ) {
    this.spec = connection.spec;
    this.#connection = connection;
    this.#memories = memories;
    this.#regions = regions;
    this.#watch = new RequestWatch(connection);
    this.#canReset = canReset;
    this.#irqCount = irqCount;
    this.bars = regions.slice(0, BARS).map(({ sizeBytes, areas }, index) =>
      openRegion(
        index,
        sizeBytes,
        areas.map(({ offset, mapping }) => ({ offset, sizeBytes: mapping.sizeBytes, mapping, from: 0 })),
        regionMessages(connection, index, postWrites),
      ),
    );
    const configMessages = regionMessages(connection, RegionIndex.CONFIG, false);
    this.config = openConfigSpace(regions[BARS]!.sizeBytes, configMessages);
  }

  /** Enables memory decode and bus mastering, which each open and each reset turn off. */
  enable(): void {
    const command = this.config.read16(Config.COMMAND);
    const decode = mayBeIo(this.#regions) ? PciCommand.IO | PciCommand.MEMORY : PciCommand.MEMORY;
    this.config.write16(Config.COMMAND, command | decode | PciCommand.BUS_MASTER);
  }

  interruptCount(kind: InterruptKind): number {
    const index = irqIndexOf[kind];
    if (index >= this.#irqCount) return 0;
    const request = this.#connection.messages.payload(16);
    request.setUint32(0, 16, true);
    request.setUint32(8, index, true);
    return this.#connection.requestFixed(Command.DEVICE_GET_IRQ_INFO, 16, 16).getUint32(12, true);
  }

  enableInterrupts(kind: InterruptKind, count: number): Interrupt[] {
    const { maxFds } = this.#connection;
    if (maxFds === 0)
      throw this.#connection.error(
        "the server accepts no file descriptors (max_msg_fds is 0), and interrupts are signalled through them",
      );
    // Vectors beyond `count` must not stay enabled, and not every server lets an enabled kind grow.
    if (this.#enabled.has(kind)) this.disableInterrupts(kind);
    this.#close(kind);
    const interrupts = Array.from({ length: count }, () => new VectorInterrupt(this.#connection));
    let accepted = 0;
    try {
      while (accepted < count) {
        const part = interrupts.slice(accepted, accepted + maxFds);
        const fds = part.map(({ eventFd }) => eventFd.fd.number);
        this.#setIrqs(kind, IrqSet.DATA_EVENTFD | IrqSet.ACTION_TRIGGER, accepted, part.length, fds);
        accepted += part.length;
      }
    } catch (error) {
      for (const interrupt of interrupts) interrupt[Symbol.dispose]();
      // All or none: the parts accepted before the refused one are disabled again.
      if (accepted > 0 && this.#connection.usable) this.disableInterrupts(kind);
      throw error;
    }
    this.#interrupts.set(kind, interrupts);
    this.#enabled.add(kind);
    return interrupts;
  }

  #close(kind: InterruptKind): void {
    for (const interrupt of this.#interrupts.get(kind) ?? []) interrupt[Symbol.dispose]();
  }

  disableInterrupts(kind: InterruptKind): void {
    this.#enabled.delete(kind);
    this.#setIrqs(kind, IrqSet.DATA_NONE | IrqSet.ACTION_TRIGGER, 0, 0);
  }

  unmaskIntx(): void {
    this.#setIrqs("intx", IrqSet.DATA_NONE | IrqSet.ACTION_UNMASK, 0, 1);
  }

  /** u32 argsz, flags, index, start, count. */
  #setIrqs(
    kind: InterruptKind,
    flags: number,
    start: number,
    count: number,
    fds: readonly number[] = [],
  ): void {
    const view = this.#connection.messages.payload(20);
    view.setUint32(0, 20, true);
    view.setUint32(4, flags, true);
    view.setUint32(8, irqIndexOf[kind], true);
    view.setUint32(12, start, true);
    view.setUint32(16, count, true);
    this.#connection.request(Command.DEVICE_SET_IRQS, 20, { fds });
  }

  fence(): void {
    fence();
  }

  allocateDma(sizeBytes: number, options?: DmaOptions) {
    const memory = this.#memories.allocate(this.#connection, sizeBytes, options);
    this.#watch.start();
    return memory;
  }

  reset(): void {
    if (!this.#canReset) throw this.#connection.error("the server's device does not support reset");
    this.#connection.request(Command.DEVICE_RESET, 0);
    this.enable();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    try {
      if (this.#connection.usable) {
        const command = this.config.read16(Config.COMMAND);
        if (!isSilentCommand(command)) this.config.write16(Config.COMMAND, command & ~PciCommand.BUS_MASTER);
      }
      for (const kind of [...this.#enabled]) this.disableInterrupts(kind);
      this.#memories[Symbol.dispose]();
    } catch (error) {
      // A server that is gone has nothing left to give back; this side is released below.
      if (!(error instanceof DeviceError)) throw error;
    } finally {
      for (const kind of this.#interrupts.keys()) this.#close(kind);
      release(this.#connection, this.#memories, this.#regions);
    }
  }
}
