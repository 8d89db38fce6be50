import { read32, write32, write64 } from "../os/access.ts";
import { SystemError } from "../os/errno.ts";
import type { Mapping } from "../os/memory.ts";
import { DeviceError, type DmaMemory, type DmaOptions } from "./device.ts";

/** Allocates memory for a device. Dispose takes all of it back, and throws the first SystemError. */
export interface DmaMemories extends Disposable {
  /** Takes all of it from the device, which has no use for it any more. On this side it stays until it is disposed of. */
  leave(): void;
  /** Throws DeviceError: no such memory is left, it may not stay locked, or it has no address that the device can use. */
  allocate(sizeBytes: number, options?: DmaOptions): DmaMemory;
}

/** Memory of this process that a device accesses at `iova`. `unmapThere` removes the device's mapping. */
export class MappedDma implements DmaMemory {
  readonly iova: number;
  readonly sizeBytes: number;
  readonly pageBytes: number;
  readonly #mapping: Mapping;
  readonly #unmapThere: () => void;
  #held = true;
  #isThere = true;

  constructor(iova: number, mapping: Mapping, pageBytes: number, unmapThere: () => void) {
    this.iova = iova;
    this.sizeBytes = mapping.sizeBytes;
    this.pageBytes = pageBytes;
    this.#mapping = mapping;
    this.#unmapThere = unmapThere;
  }

  #address(offset: number, width: number): number {
    if (!this.#held || offset < 0 || offset + width > this.sizeBytes || offset % width !== 0) {
      throw new RangeError(
        `${width} bytes at ${offset} of ${this.#held ? this.sizeBytes : "unmapped"} bytes of DMA memory`,
      );
    }
    return this.#mapping.address + offset;
  }

  read32(offset: number): number {
    return read32(this.#address(offset, 4));
  }

  write32(offset: number, value: number): void {
    write32(this.#address(offset, 4), value);
  }

  write64(offset: number, value: bigint): void {
    write64(this.#address(offset, 8), value);
  }

  bytes(offset?: number, sizeBytes?: number): Uint8Array<ArrayBuffer> {
    return this.#mapping.bytes(offset, sizeBytes);
  }

  detach(): Disposable {
    if (this.#held) {
      this.#held = false;
      this.leave();
    }
    return this.#mapping;
  }

  /** Takes it from the device. On this side it stays until dispose. */
  leave(): void {
    try {
      this.#leave();
    } catch (error) {
      // A device that is gone has no mapping left.
      if (!(error instanceof SystemError || error instanceof DeviceError)) throw error;
    }
  }

  #leave(): void {
    if (!this.#isThere) return;
    this.#isThere = false;
    this.#unmapThere();
  }

  unmapHere(): void {
    this.#held = false;
    this.#mapping[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (!this.#held) return;
    try {
      this.#leave();
    } finally {
      this.unmapHere();
    }
  }
}
