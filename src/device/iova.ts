/** Which addresses a device sees memory at: a first-fit allocator over the ranges that its IOMMU can translate. */

/** Addresses that an IOMMU translates; both ends included. */
export interface IovaRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** Tried from here on first: above 4 GiB an address that is cut to 32 bits somewhere is noticed. */
const PREFERRED_FIRST = 2 ** 32;
/** Address 0 is nobody's: drivers take it for none. */
const LEAST_FIRST = 4096;
/** Numbers are exact below this. */
const EXACT_LAST = 2 ** 53 - 1;

/** The same in numbers, as far as they are exact. */
interface Span {
  readonly first: number;
  readonly last: number;
}

export class IovaAllocator {
  /** Both by address, without overlaps. */
  readonly #ranges: readonly Span[];
  readonly #taken: Span[] = [];

  constructor(ranges: readonly IovaRange[]) {
    this.#ranges = ranges
      .map(({ first, last }) => ({ first: Number(first), last: Math.min(Number(last), EXACT_LAST) }))
      .filter(({ first, last }) => first <= last)
      .sort((a, b) => a.first - b.first);
  }

  /**
   * Takes `sizeBytes` at a multiple of `alignment` (a power of two) that end below 2^addressBits; undefined where no
   * range has such a gap.
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

  /** Gives back what `allocate` gave. */
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
