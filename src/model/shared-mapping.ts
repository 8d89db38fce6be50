import { Mapping } from "../os/memory.ts";

/** Memory of this process that backs a range of device addresses, until `release`. */
export interface DmaRange {
  readonly address: number;
  readonly sizeBytes: number;
  release(): void;
}

/** A mapping with several users, the creator being the first; unmapped when the last one releases it. */
export class SharedMapping {
  readonly mapping: Mapping;
  readonly #gone: () => void;
  #users = 1;
  /** Those of them that have all of it. */
  #sharers = 0;

  /** Calls `gone` when it is unmapped. */
  constructor(mapping: Mapping, gone: () => void) {
    this.mapping = mapping;
    this.#gone = gone;
  }

  hold(): void {
    this.#users++;
  }

  release(): void {
    if (this.#users === 0) return;
    this.#users--;
    if (this.#users > 0) return;
    this.mapping[Symbol.dispose]();
    this.#gone();
  }

  /** Takes it from the users of its parts, which are threads that have ended. */
  endRanges(): void {
    while (this.#users > this.#sharers) this.release();
  }

  /** All of it, for one more user, which releases it by disposing of this. */
  share(): Mapping {
    this.hold();
    this.#sharers++;
    return new Mapping(this.mapping.address, this.mapping.sizeBytes, () => {
      this.#sharers--;
      this.release();
    });
  }

  /** A part of it, which counts as one more user. */
  range(offset: number, sizeBytes: number): DmaRange {
    this.hold();
    return { address: this.mapping.address + offset, sizeBytes, release: () => this.release() };
  }
}
