/**
 * Memory that a device reaches by its physical address, because no IOMMU translates: pages of hugetlbfs, which the kernel neither
 * swaps nor moves in ordinary operation. The device can then write to any memory of the machine.
 */
import { readFileSync } from "node:fs";
import { SystemError } from "../../os/errno.ts";
import type { Fd } from "../../os/fd.ts";
import {
  createHugeFile,
  fillHugeFile,
  HUGE_PAGE,
  mapHugePages,
  physicalAddresses,
} from "../../os/huge-pages.ts";
import { clearMemfd, Mapping } from "../../os/memory.ts";
import { DeviceError, type DmaMemory, type DmaOptions } from "../device.ts";
import { type DmaMemories, MappedDma } from "../dma-memory.ts";
import { keepUntilGone } from "./keeper.ts";

const POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB";

/** A huge page of the file. */
interface Page {
  readonly offset: number;
  readonly physical: number;
}

export class PhysicalMemories implements DmaMemories {
  readonly #spec: string;
  readonly #live = new Set<MappedDma>();
  #file: Fd | undefined;
  #keeper: Disposable | undefined;
  /** Where the file ends. What was given back there is not used again. */
  #end = 0;

  constructor(spec: string) {
    this.#spec = spec;
  }

  allocate(sizeBytes: number, { addressBits = 64, pageBytes = HUGE_PAGE }: DmaOptions = {}): DmaMemory {
    if (pageBytes !== HUGE_PAGE)
      throw this.#error(
        `memory with a physical address has pages of ${HUGE_PAGE} bytes, not of ${pageBytes}`,
      );
    try {
      const file = this.#open();
      const run = this.#take(file, Math.ceil(sizeBytes / HUGE_PAGE), addressBits);
      return this.#map(file, run);
    } catch (error) {
      throw error instanceof SystemError ? this.#error(error.message) : error;
    }
  }

  /** Its pages go back only when this process has ended, and with it the device's access to them: see keeper.ts. */
  #open(): Fd {
    if (this.#file) return this.#file;
    using held = new DisposableStack();
    const file = held.use(createHugeFile("vfiokit-dma"));
    this.#keeper = keepUntilGone(file);
    held.move();
    this.#file = file;
    return file;
  }

  /** Takes free pages until `count` of them follow each other in memory, and gives the others back. */
  #take(file: Fd, count: number, addressBits: number): Page[] {
    const taken: Page[] = [];
    const first = this.#end;
    try {
      for (let pages = count; ; pages = Math.max(1, Math.floor(pages / 2))) {
        const more = this.#fill(file, pages);
        taken.push(...more);
        const run = findRun(taken, count, 2 ** Math.min(addressBits, 53));
        if (!run && (more.length > 0 || pages > 1)) continue;
        if (!run) throw this.#error(this.#whyNone(taken.length, count, addressBits));
        const wanted = new Set(run);
        for (const page of taken) if (!wanted.has(page)) clearMemfd(file, HUGE_PAGE, page.offset);
        return run;
      }
    } catch (error) {
      if (this.#end > first) clearMemfd(file, this.#end - first, first);
      throw error;
    }
  }

  /** New pages of the file, and where they are; none if not so many are free. */
  #fill(file: Fd, pages: number): Page[] {
    const first = this.#end;
    this.#end += pages * HUGE_PAGE;
    try {
      fillHugeFile(file, first, pages);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "ENOSPC")) throw error;
      clearMemfd(file, pages * HUGE_PAGE, first);
      return [];
    }
    const offsets = Array.from({ length: pages }, (_, i) => first + i * HUGE_PAGE);
    using mapping = mapHugePages(file, offsets);
    return this.#physical(mapping).map((physical, i) => ({ offset: offsets[i]!, physical }));
  }

  #physical(mapping: Mapping): number[] {
    const starts = Array.from({ length: mapping.sizeBytes / HUGE_PAGE }, (_, i) => i * HUGE_PAGE);
    for (const start of starts) mapping.bytes(start, 1)[0]; // now it is in the page table
    return physicalAddresses(starts.map((start) => mapping.address + start)).map((physical) => {
      if (physical !== undefined) return physical;
      throw this.#error(
        "/proc/self/pagemap tells this process no physical addresses: run as root (CAP_SYS_ADMIN)",
      );
    });
  }

  #map(file: Fd, run: readonly Page[]): DmaMemory {
    const mapping = this.#mapRun(file, run);
    const dma = new MappedDma(run[0]!.physical, mapping, HUGE_PAGE, () => this.#live.delete(dma));
    this.#live.add(dma);
    return dma;
  }

  #mapRun(file: Fd, run: readonly Page[]): Mapping {
    const offsets = run.map(({ offset }) => offset);
    const giveBack = () => {
      // Without the file, unmapping them gave them back.
      if (this.#file) for (const offset of offsets) clearMemfd(file, HUGE_PAGE, offset);
    };
    let pages: Mapping | undefined;
    try {
      pages = mapHugePages(file, offsets);
      const now = this.#physical(pages);
      if (now.some((physical, i) => physical !== run[i]!.physical))
        throw this.#error("the kernel moved a huge page while it was being locked; try again");
    } catch (error) {
      pages?.[Symbol.dispose]();
      giveBack();
      throw error;
    }
    const mapped = pages;
    return new Mapping(mapped.address, mapped.sizeBytes, () => {
      mapped[Symbol.dispose]();
      giveBack();
    });
  }

  #whyNone(taken: number, count: number, addressBits: number): string {
    const pages = (name: string) => Number(readFileSync(`${POOL}/${name}`, "latin1"));
    // Others have reserved some of the free ones.
    const free = Math.max(0, pages("free_hugepages") - pages("resv_hugepages"));
    const total = pages("nr_hugepages");
    const where = addressBits < 53 ? ` below 2^${addressBits}` : "";
    if (taken < count)
      return `${count} huge pages are needed, and ${free} are free: as root: echo ${total + count - free} > ${POOL}/nr_hugepages`;
    return `of ${taken} free huge pages no ${count} follow each other${where}; reserve more, or reserve them at boot, before memory is fragmented: hugepages=${total + count} on the kernel's command line`;
  }

  /** The device's bus mastering ends its accesses. Its keeper stays, too. */
  leave(): void {}

  #error(text: string): DeviceError {
    return new DeviceError(`${this.#spec}: ${text}`);
  }

  [Symbol.dispose](): void {
    using _keeper = this.#keeper;
    using _file = this.#file;
    this.#keeper = this.#file = undefined;
    using stack = new DisposableStack();
    for (const dma of this.#live) stack.use(dma);
  }
}

/** Pages that follow each other and end below `limit`; undefined if there are not so many. */
export function findRun(pages: readonly Page[], count: number, limit: number): Page[] | undefined {
  const sorted = pages.toSorted((a, b) => a.physical - b.physical);
  for (let end = 1, begin = 0; end <= sorted.length; end++) {
    if (sorted[end - 1]!.physical + HUGE_PAGE > limit) return undefined;
    if (end - begin === count) return sorted.slice(begin, end);
    if (sorted[end]?.physical !== sorted[end - 1]!.physical + HUGE_PAGE) begin = end;
  }
  return undefined;
}
