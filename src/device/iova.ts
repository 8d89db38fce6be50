/** Allocates IOVAs, first fit, from the ranges that an IOMMU can translate. */

/** Addresses that an IOMMU translates; both ends inclusive. */
export interface IovaRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** Tried first: above 4 GiB, code that truncates an address to 32 bits fails visibly. */
const PREFERRED_FIRST = 2 ** 32;
/** Address 0 is never allocated: drivers take it for "no address". */
const LEAST_FIRST = 4096;
/** Numbers are exact up to this. */
const EXACT_LAST = 2 ** 53 - 1;

/** An IovaRange in numbers, clipped to where they are exact. */
interface Span {
  readonly first: number;
  readonly last: number;
}

export class IovaAllocator {
  /** Both sorted by address, without overlaps. */
  readonly #ranges: readonly Span[];
  readonly #taken: Span[] = [];

  constructor(ranges: readonly IovaRange[]) {
    this.#ranges = ranges
      .map(({ first, last }) => ({ first: Number(first), last: Math.min(Number(last), EXACT_LAST) }))
      .filter(({ first, last }) => first <= last)
      .sort((a, b) => a.first - b.first);
  }

  /**
   * Allocates `sizeBytes` at a multiple of `alignment` (a power of two), ending below 2^addressBits. Returns
   * undefined if no range has such a gap.
   */
  allocate(sizeBytes: number, alignment: number, addressBits = 64): number | undefined {
    const limit = Math.min(EXACT_LAST, 2 ** addressBits - 1);
    const found =
      this.#search(PREFERRED_FIRST, limit, sizeBytes, alignment) ??
      this.#search(LEAST_FIRST, limit, sizeBytes, alignment);
    if (found === undefined) return undefined;
    const next = this.#taken.findIndex(({ first }) => first > found);
    this.#taken.splice(next < 0 ? this.#taken.length : next, 0, {
      first: found,
      last: found + sizeBytes - 1,
    });
    return found;
  }

  /** Frees what `allocate` returned. */
  free(iova: number): void {
    const at = this.#taken.findIndex(({ first }) => first === iova);
    if (at >= 0) this.#taken.splice(at, 1);
  }

  #search(from: number, limit: number, sizeBytes: number, alignment: number): number | undefined {
    const align = (address: number) => Math.ceil(address / alignment) * alignment;
    for (const range of this.#ranges) {
      const last = Math.min(range.last, limit);
      let at = align(Math.max(range.first, from));
      for (const taken of this.#taken) {
        if (taken.last < at) continue;
        if (taken.first > at + sizeBytes - 1) break;
        at = align(taken.last + 1);
      }
      if (at + sizeBytes - 1 <= last) return at;
    }
    return undefined;
  }
}
