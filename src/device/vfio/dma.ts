/** Memory of this process, pinned and mapped by the IOMMU for the devices of a group. */
import { SystemError } from "../../os/errno.ts";
import { type Mapping, mapAnonymous, PAGE_SIZE } from "../../os/memory.ts";
import { DeviceError, type DmaMemory, type DmaOptions } from "../device.ts";
import { MappedDma } from "../dma-memory.ts";
import type { Group } from "./group.ts";
import { lockableBytes } from "./memlock.ts";

const MIB = 2 ** 20;
const HUGE_PAGES = [1024 * MIB, 2 * MIB];
/** Rounding up to a page may waste this share of what was asked for. */
const WASTE = 1 / 4;

const roundUp = (bytes: number, to: number) => Math.ceil(bytes / to) * to;
const mib = (bytes: number) => `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;

export class DmaMemories implements Disposable {
  readonly #group: Group;
  readonly #spec: string;
  readonly #live = new Set<MappedDma>();

  constructor(group: Group, spec: string) {
    this.#group = group;
    this.#spec = spec;
  }

  /**
   * Throws DeviceError: nothing of that page size left, more than may be pinned, no addresses left that the IOMMU can
   * map and the device can reach, or the kernel refuses.
   */
  allocate(sizeBytes: number, options: DmaOptions = {}): DmaMemory {
    const { addressBits } = options;
    const { memory, pageBytes } = this.#memory(sizeBytes, options.pageBytes);
    const iova = this.#group.iova.allocate(memory.sizeBytes, pageBytes, addressBits);
    try {
      if (iova === undefined) {
        const ranges = this.#group.container
          .info()
          .ranges.map(({ first, last }) => `0x${first.toString(16)}-0x${last.toString(16)}`);
        throw this.#error(
          `no ${memory.sizeBytes} bytes of addresses${addressBits === undefined ? "" : ` below 2^${addressBits}`} are left; the IOMMU maps ${ranges.join(", ")}`,
        );
      }
      this.#group.container.map(memory, iova);
    } catch (error) {
      memory[Symbol.dispose]();
      if (iova !== undefined) this.#group.iova.free(iova);
      if (!(error instanceof SystemError)) throw error;
      throw this.#error(`${error.message}: ${this.#whyNot(error.code)}`);
    }
    const dma = new MappedDma(iova, memory, pageBytes, () => {
      this.#live.delete(dma);
      this.#group.container.unmap(iova, dma.sizeBytes);
      this.#group.iova.free(iova);
    });
    this.#live.add(dma);
    return dma;
  }

  /** Of the page size asked for, or else of the largest that suits and is left. */
  #memory(sizeBytes: number, wanted: number | undefined): { memory: Mapping; pageBytes: number } {
    const suits = (page: number) => roundUp(sizeBytes, page) - sizeBytes <= sizeBytes * WASTE;
    const candidates = wanted === undefined ? [...HUGE_PAGES.filter(suits), PAGE_SIZE] : [wanted];
    for (const pageBytes of candidates) {
      const roundedBytes = roundUp(sizeBytes, pageBytes);
      const limit = lockableBytes();
      if (roundedBytes > limit) {
        throw this.#error(
          `${mib(roundedBytes)} for DMA must stay in memory, but only ${mib(limit)} more may be locked (RLIMIT_MEMLOCK): run as root, or raise the limit first, as root: prlimit --memlock=unlimited --pid $$`,
        );
      }
      try {
        return { memory: mapAnonymous(roundedBytes, pageBytes), pageBytes };
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        if (pageBytes !== PAGE_SIZE && wanted === undefined) continue;
        const fix =
          pageBytes === PAGE_SIZE
            ? ""
            : `: there are not that many free pages of this size; echo ${roundedBytes / pageBytes} > /sys/kernel/mm/hugepages/hugepages-${pageBytes / 1024}kB/nr_hugepages`;
        throw this.#error(`${error.message}${fix}`);
      }
    }
    throw new Error("unreachable: 4 KiB pages either come or throw");
  }

  #whyNot(code: string): string {
    const { mappingsLeft } = this.#group.container.info();
    if (code === "ENOMEM")
      return "more memory than this process may lock: raise RLIMIT_MEMLOCK, or run as root";
    if (code === "ENOSPC")
      return `the container takes ${mappingsLeft ?? 0} more mappings; modprobe vfio_iommu_type1 dma_entry_limit=N`;
    if (code === "EEXIST") return "these addresses are mapped already";
    return "the IOMMU can't map it";
  }

  #error(text: string): DeviceError {
    return new DeviceError(`${this.#spec}: ${text}`);
  }

  [Symbol.dispose](): void {
    for (const dma of [...this.#live]) dma[Symbol.dispose]();
  }
}
