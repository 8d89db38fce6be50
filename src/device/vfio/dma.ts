/** Memory of this process, pinned and mapped through the IOMMU. */
import { existsSync, readFileSync } from "node:fs";
import { SystemError } from "../../os/errno.ts";
import { alignmentOf, type Mapping, mapAnonymous, PAGE_SIZE } from "../../os/memory.ts";
import { DeviceError, type DmaMemory, type DmaOptions } from "../device.ts";
import { type DmaMemories, MappedDma } from "../dma-memory.ts";
import { lockableBytes } from "./memlock.ts";
import type { DmaSpace } from "./space.ts";

const MIB = 2 ** 20;
const HUGE_PAGES = [1024 * MIB, 2 * MIB];
/** Rounding up to a page may waste at most this share of the requested size. */
const WASTE = 1 / 4;

const roundUp = (bytes: number, to: number) => Math.ceil(bytes / to) * to;
const mib = (bytes: number) => `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;

/** The kernel checks the limit when it pins memory. Reading it beforehand, from /proc, would take most of a mapping's time. */
function tooMuch({ message }: SystemError, sizeBytes: number): string {
  const limit = lockableBytes();
  return sizeBytes > limit
    ? `${mib(sizeBytes)} for DMA must stay in memory, but only ${mib(limit)} more may be locked (RLIMIT_MEMLOCK): run as root, or raise the limit first, as root: prlimit --memlock=unlimited --pid $$`
    : `${message}: the kernel has no memory left for it`;
}

export class MappedMemories implements DmaMemories {
  readonly #space: DmaSpace;
  readonly #spec: string;
  readonly #live = new Set<MappedDma>();
  /** What the device has no more. */
  readonly #left = new Set<MappedDma>();

  constructor(space: DmaSpace, spec: string) {
    this.#space = space;
    this.#spec = spec;
  }

  /**
   * Throws DeviceError: no pages of that size left, more memory than may be pinned, no addresses left that
   * the IOMMU can map and the device can reach, or the kernel refuses.
   */
  allocate(sizeBytes: number, { addressBits, pageBytes }: DmaOptions = {}): DmaMemory {
    if (pageBytes !== undefined) return this.#allocateIn(pageBytes, sizeBytes, addressBits);
    const suits = (page: number) => roundUp(sizeBytes, page) - sizeBytes <= sizeBytes * WASTE;
    for (const page of HUGE_PAGES.filter(suits)) {
      try {
        return this.#allocateIn(page, sizeBytes, addressBits);
      } catch (error) {
        // Smaller pages may work.
        if (!(error instanceof DeviceError)) throw error;
      }
    }
    return this.#allocateIn(PAGE_SIZE, sizeBytes, addressBits);
  }

  #allocateIn(pageBytes: number, sizeBytes: number, addressBits: number | undefined): DmaMemory {
    const space = this.#space;
    const { addresses } = space;
    const memory = this.#memory(roundUp(sizeBytes, pageBytes), pageBytes);
    const take = (alignment: number) => addresses.allocate(memory.sizeBytes, alignment, addressBits);
    const iova = take(alignmentOf(memory.sizeBytes, pageBytes)) ?? take(pageBytes);
    try {
      if (iova === undefined) {
        const hex = (address: bigint) => `0x${address.toString(16)}`;
        const ranges = space.ranges().map(({ first, last }) => `${hex(first)}-${hex(last)}`);
        throw this.#error(
          `no ${memory.sizeBytes} bytes of addresses${addressBits === undefined ? "" : ` below 2^${addressBits}`} are left; the IOMMU maps ${ranges.join(", ")}`,
        );
      }
      space.map(memory, iova);
    } catch (error) {
      memory[Symbol.dispose]();
      if (iova !== undefined) addresses.free(iova);
      if (!(error instanceof SystemError)) throw error;
      throw this.#error(
        error.code === "ENOMEM"
          ? tooMuch(error, memory.sizeBytes)
          : `${error.message}: ${space.whyNot(error.code)}`,
      );
    }
    const dma = new MappedDma(iova, memory, pageBytes, () => {
      this.#live.delete(dma);
      space.unmap(iova, dma.sizeBytes);
      addresses.free(iova);
    });
    this.#live.add(dma);
    return dma;
  }

  #memory(sizeBytes: number, pageBytes: number): Mapping {
    if (pageBytes === PAGE_SIZE) {
      try {
        return mapAnonymous(sizeBytes);
      } catch (error) {
        throw error instanceof SystemError ? this.#error(error.message) : error;
      }
    }
    const pool = `/sys/kernel/mm/hugepages/hugepages-${pageBytes / 1024}kB`;
    if (!existsSync(pool))
      throw this.#error(
        `this machine has no pages of ${pageBytes} bytes; ls /sys/kernel/mm/hugepages shows what it has`,
      );
    try {
      return mapAnonymous(sizeBytes, pageBytes);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const pages = (name: string) => Number(readFileSync(`${pool}/${name}`, "latin1"));
      const enough = pages("nr_hugepages") + sizeBytes / pageBytes - pages("free_hugepages");
      throw this.#error(
        `${error.message}: there are not that many free pages of this size; echo ${enough} > ${pool}/nr_hugepages`,
      );
    }
  }

  #error(text: string): DeviceError {
    return new DeviceError(`${this.#spec}: ${text}`);
  }

  leave(): void {
    for (const dma of this.#live) {
      this.#left.add(dma);
      dma.leave();
    }
  }

  /** Unmaps everything. Throws the first SystemError, but always unmaps this side. */
  [Symbol.dispose](): void {
    using stack = new DisposableStack();
    for (const dma of [...this.#live, ...this.#left]) stack.use(dma);
  }
}
