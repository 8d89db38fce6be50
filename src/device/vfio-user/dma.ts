/** Memory that this process shares with a vfio-user server: memfds, mapped here and offered to the server. */
import { constants } from "node:os";
import { SystemError } from "../../os/errno.ts";
import { createMemfd, mapShared, PAGE_SIZE } from "../../os/memory.ts";
import { MAX_DATA_BYTES } from "../../protocol/limits.ts";
import { DmaFlag } from "../../protocol/vfio.ts";
import { Command } from "../../protocol/vfio-user.ts";
import type { DmaMemory, DmaOptions } from "../device.ts";
import { MappedDma } from "../dma-memory.ts";
import { IovaAllocator } from "../iova.ts";
import type { Connection, ServeRequest } from "./connection.ts";

const { EINVAL, ENOTSUP } = constants.errno;

export class SharedMemories implements Disposable {
  readonly #live = new Set<MappedDma>();
  readonly #iova = new IovaAllocator([{ first: 0n, last: 2n ** 64n - 1n }]);
  /** Whether the server gets the memory's descriptor. */
  readonly #share: boolean;

  constructor(share: boolean) {
    this.#share = share;
  }

  /** Throws DeviceError: no memory, no such addresses left, or the server refuses. */
  allocate(connection: Connection, sizeBytes: number, options: DmaOptions = {}): DmaMemory {
    const { addressBits, pageBytes = PAGE_SIZE } = options;
    if (pageBytes !== PAGE_SIZE)
      throw connection.error(`memory shared by vfio-user has pages of ${PAGE_SIZE} bytes, not ${pageBytes}`);
    const roundedBytes = Math.ceil(sizeBytes / PAGE_SIZE) * PAGE_SIZE;
    const iova = this.#iova.allocate(roundedBytes, PAGE_SIZE, addressBits);
    if (iova === undefined)
      throw connection.error(`no ${roundedBytes} bytes of addresses below 2^${addressBits} are left`);
    try {
      using fd = createMemfd("vfiokit-dma", roundedBytes);
      const dma = new MappedDma(iova, mapShared(fd.number, roundedBytes), PAGE_SIZE, () => {
        this.#live.delete(dma);
        this.#iova.free(iova);
        if (connection.usable) send(connection, Command.DMA_UNMAP, dma, 0, []);
      });
      try {
        // Without the descriptor the server reads and writes the memory by messages.
        const fds = this.#share && connection.maxFds > 0 ? [fd.number] : [];
        send(connection, Command.DMA_MAP, dma, DmaFlag.READ | DmaFlag.WRITE, fds);
      } catch (error) {
        dma.unmapHere();
        throw error;
      }
      this.#live.add(dma);
      return dma;
    } catch (error) {
      this.#iova.free(iova);
      if (!(error instanceof SystemError)) throw error;
      throw connection.error(`can't allocate ${roundedBytes} bytes of shared memory: ${error.message}`);
    }
  }

  /** DMA_READ and DMA_WRITE, from a server that does not map our memory itself: u64 address, u64 count, data. */
  serve(connection: Connection, { command, payload }: Parameters<ServeRequest>[0]): ReturnType<ServeRequest> {
    const isWrite = command === Command.DMA_WRITE;
    if (command !== Command.DMA_READ && !isWrite) return { errno: ENOTSUP };
    if (payload.byteLength < 16) return { errno: EINVAL };
    const address = Number(payload.getBigUint64(0, true));
    const count = Number(payload.getBigUint64(8, true));
    const memory = [...this.#live].find(
      ({ iova, sizeBytes }) => address >= iova && address + count <= iova + sizeBytes,
    );
    if (!memory || count > MAX_DATA_BYTES || (isWrite && payload.byteLength !== 16 + count))
      return { errno: EINVAL };
    const part = memory.bytes(address - memory.iova, count);
    if (isWrite) part.set(new Uint8Array(payload.buffer, payload.byteOffset + 16, count));
    const reply = connection.messages.payload(isWrite ? 16 : 16 + count);
    reply.setBigUint64(0, BigInt(address), true);
    reply.setBigUint64(8, BigInt(count), true);
    if (!isWrite) new Uint8Array(reply.buffer, reply.byteOffset + 16, count).set(part);
    return { payloadBytes: reply.byteLength };
  }

  /** Unmaps everything on both sides. Throws DeviceError, but always unmaps this side. */
  [Symbol.dispose](): void {
    try {
      for (const dma of [...this.#live]) dma[Symbol.dispose]();
    } finally {
      for (const dma of this.#live) dma.unmapHere();
      this.#live.clear();
    }
  }
}

/** DMA_MAP: u32 argsz 32, flags, u64 offset in the file, iova, size. DMA_UNMAP: argsz 24, flags, iova, size. */
function send(
  connection: Connection,
  command: number,
  dma: MappedDma,
  flags: number,
  fds: readonly number[],
): void {
  const sizeBytes = command === Command.DMA_MAP ? 32 : 24;
  const view = connection.messages.payload(sizeBytes);
  view.setUint32(0, sizeBytes, true);
  view.setUint32(4, flags, true);
  view.setBigUint64(sizeBytes - 16, BigInt(dma.iova), true);
  view.setBigUint64(sizeBytes - 8, BigInt(dma.sizeBytes), true);
  connection.request(command, sizeBytes, { fds });
}
