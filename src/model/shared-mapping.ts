import type { Mapping } from "../os/memory.ts";

/** Memory of this process that backs a range of device addresses, until `release`. */
export interface DmaRange {
  readonly address: number;
  readonly sizeBytes: number;
  release(): void;
}

/** A mapping with several users, the first of them whoever makes this; unmapped when the last one lets go of it. */
export class SharedMapping {
  readonly mapping: Mapping;
  readonly #gone: () => void;
  #users = 1;

  /** `gone` is called when it is unmapped. */
  constructor(mapping: Mapping, gone: () => void) {
    this.mapping = mapping;
    this.#gone = gone;
  }

  hold(): void {
    this.#users++;
  }

  release(): void {
    if (--this.#users > 0) return;
    this.mapping[Symbol.dispose]();
    this.#gone();
  }

  /** A part of it, as one more user. */
  range(offset: number, sizeBytes: number): DmaRange {
    this.hold();
    return { address: this.mapping.address + offset, sizeBytes, release: () => this.release() };
  }
}
