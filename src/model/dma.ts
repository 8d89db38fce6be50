/** The host memory that a device model can reach: the server's table of DMA mappings. */

import { fstatSync } from "node:fs";
import { constants } from "node:os";
import { DmaFlag } from "../device/vfio-abi.ts";
import type { Fd } from "../os/fd.ts";
import { type Mapping, mapShared, PAGE_SIZE } from "../os/memory.ts";

/** One backing file, mapped whole and once, however many DMA mappings lie in it. */
interface Backing {
  readonly key: string;
  readonly mapping: Mapping;
  users: number;
}

interface DmaMapping {
  readonly iova: number;
  readonly sizeBytes: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Undefined where the client sent no descriptor: reachable by messages only, which no model here uses. */
  readonly backing: Backing | undefined;
  readonly fileOffset: number;
}

/** Memory of this process that backs a range of device addresses, until `release`. */
export interface DmaRange {
  readonly address: number;
  readonly sizeBytes: number;
  release(): void;
}

/** A DMA mapping that can't be made; `errno` goes into the reply. */
export class DmaMapError extends Error {
  readonly errno: number;
  constructor(message: string, errno: number) {
    super(message);
    this.errno = errno;
  }
}

const { EEXIST, EINVAL } = constants.errno;

export class DmaTable {
  readonly #mappings: DmaMapping[] = [];
  readonly #backings = new Map<string, Backing>();

  /**
   * Adds a mapping; `flags` are DmaFlag. Throws DmaMapError: an overlap, an impossible range, one not in whole pages,
   * one past the file's end.
   */
  map(iova: number, sizeBytes: number, flags: number, fd: Fd | undefined, fileOffset: number): void {
    const readable = (flags & DmaFlag.READ) !== 0;
    const writable = (flags & DmaFlag.WRITE) !== 0;
    const inPages = iova % PAGE_SIZE === 0 && sizeBytes % PAGE_SIZE === 0;
    if (!Number.isSafeInteger(iova + sizeBytes) || sizeBytes === 0 || !inPages) {
      throw new DmaMapError(`${sizeBytes} bytes at ${iova}`, EINVAL);
    }
    if (this.#mappings.some((m) => iova < m.iova + m.sizeBytes && m.iova < iova + sizeBytes)) {
      throw new DmaMapError("overlaps a mapping", EEXIST);
    }
    const backing = fd && this.#open(fd, fileOffset, sizeBytes, writable);
    this.#mappings.push({ iova, sizeBytes, readable, writable, backing, fileOffset });
  }

  #open(fd: Fd, fileOffset: number, sizeBytes: number, writable: boolean): Backing {
    const { dev, ino, size } = fstatSync(fd.number);
    if (fileOffset % PAGE_SIZE !== 0 || !(fileOffset + sizeBytes <= size)) {
      throw new DmaMapError(`${sizeBytes} bytes at ${fileOffset} of a file of ${size} bytes`, EINVAL);
    }
    const key = `${dev}:${ino}:${size}:${writable}`;
    let backing = this.#backings.get(key);
    if (!backing) {
      backing = { key, mapping: mapShared(fd.number, size, 0, writable), users: 0 };
      this.#backings.set(key, backing);
    }
    backing.users++;
    return backing;
  }

  #release(backing: Backing | undefined): void {
    if (!backing || --backing.users > 0) return;
    this.#backings.delete(backing.key);
    backing.mapping[Symbol.dispose]();
  }

  /** Removes every mapping that lies wholly inside the range; none is no error, as with the kernel's type 1 IOMMU. */
  unmap(iova: number, sizeBytes: number): void {
    for (let i = this.#mappings.length - 1; i >= 0; i--) {
      const m = this.#mappings[i]!;
      if (m.iova < iova || m.iova + m.sizeBytes > iova + sizeBytes) continue;
      this.#mappings.splice(i, 1);
      this.#release(m.backing);
    }
  }

  unmapAll(): void {
    this.unmap(0, Number.POSITIVE_INFINITY);
  }

  /**
   * The memory behind a range of device addresses, which stays mapped until each part is released, also when the
   * client unmaps it meanwhile. Undefined where any byte of it is not mapped for reading, or for writing when `write`.
   */
  resolve(iova: number, sizeBytes: number, write: boolean): DmaRange[] | undefined {
    if (!Number.isSafeInteger(iova + sizeBytes)) return undefined;
    const parts: { backing: Backing; address: number; sizeBytes: number }[] = [];
    for (let at = iova; at < iova + sizeBytes; ) {
      const m = this.#mappings.find(({ iova: start, sizeBytes: size }) => at >= start && at < start + size);
      if (!m?.backing || !(write ? m.writable : m.readable)) return undefined;
      const length = Math.min(iova + sizeBytes, m.iova + m.sizeBytes) - at;
      const address = m.backing.mapping.address + m.fileOffset + (at - m.iova);
      const last = parts.at(-1);
      if (last && last.backing === m.backing && last.address + last.sizeBytes === address)
        last.sizeBytes += length;
      else parts.push({ backing: m.backing, address, sizeBytes: length });
      at += length;
    }
    return parts.map(({ backing, address, sizeBytes: length }) => {
      backing.users++;
      return { address, sizeBytes: length, release: () => this.#release(backing) };
    });
  }
}
