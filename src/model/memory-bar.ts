/** A memory BAR: separate memory for each client, which the client may map. */
import type { Fd } from "../os/fd.ts";
import { clearMemfd, createMemfd, mapShared } from "../os/memory.ts";
import type { MemoryBar } from "./device-model.ts";
import { type DmaRange, SharedMapping } from "./shared-mapping.ts";

export class SharedMemoryBar implements MemoryBar, Disposable {
  readonly kind = "memory";
  readonly sizeBytes: number;
  readonly #name: string;
  #fd!: Fd;
  #mapping: SharedMapping | undefined;

  /** `name` is the memfd's. Throws SystemError. */
  /** All that is mapped still, also for ranges of earlier memory. */
  readonly #mapped = new Set<SharedMapping>();

  constructor(name: string, sizeBytes: number) {
    this.#name = name;
    this.sizeBytes = sizeBytes;
    this.renew();
  }

  /** Replaces the memory; ranges resolved before stay until released. Throws SystemError and then changes nothing. */
  renew(): void {
    const fd = createMemfd(this.#name, this.sizeBytes);
    try {
      const mapping = new SharedMapping(mapShared(fd.number, this.sizeBytes), () =>
        this.#mapped.delete(mapping),
      );
      this.#mapped.add(mapping);
      this.#mapping?.release();
      this.#mapping = mapping;
    } catch (error) {
      fd[Symbol.dispose]();
      throw error;
    }
    this.#fd?.[Symbol.dispose]();
    this.#fd = fd;
  }

  [Symbol.dispose](): void {
    this.#mapping?.release();
    this.#mapping = undefined;
    this.#fd[Symbol.dispose]();
  }

  /** Unmaps what ranges still hold, after dispose. */
  endRanges(): void {
    for (const mapping of [...this.#mapped]) mapping.endRanges();
  }

  get fd(): number {
    return this.#fd.number;
  }

  bytes(offset: number, sizeBytes: number): Uint8Array {
    return this.#mapping!.mapping.bytes(offset, sizeBytes);
  }

  clear(): void {
    clearMemfd(this.#fd, this.sizeBytes);
  }

  /** Undefined if not all of it is inside. */
  resolve(address: number, sizeBytes: number): DmaRange[] | undefined {
    if (!(address + sizeBytes <= this.sizeBytes)) return undefined;
    return [this.#mapping!.range(address, sizeBytes)];
  }
}
