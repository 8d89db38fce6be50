/** The host memory that a device model can reach: the server's table of DMA mappings. */

import { fstatSync } from "node:fs";
import { constants } from "node:os";
import { Fd } from "../os/fd.ts";
import { keepsItsPages, mapShared, PAGE_SIZE } from "../os/memory.ts";
import { DmaFlag } from "../protocol/vfio.ts";
import { MAX_FILE_BYTES, MAX_FILES, MAX_MAPPINGS } from "./limits.ts";
import { copyFrom, copyTo } from "./range-copy.ts";
import { type DmaRange, SharedMapping } from "./shared-mapping.ts";

interface DmaMapping {
  readonly iova: number;
  readonly sizeBytes: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Undefined if the client sent no descriptor: then only messages reach it. */
  readonly backing: SharedMapping | undefined;
  readonly fileOffset: number;
}

/** A DMA mapping that can't be made; `errno` goes into the reply. */
export class DmaMapError extends Error {
  readonly errno: number;
  constructor(message: string, errno: number) {
    super(message);
    this.errno = errno;
  }
}

const { EEXIST, EINVAL, ENOSPC, EPERM } = constants.errno;

/** Copies by messages to the client. Both return whether the client did it. */
export interface DmaMessages {
  read(iova: number, to: Uint8Array): boolean;
  write(iova: number, from: Uint8Array): boolean;
}

/** The client's memory, as far as the client shares it with the device, by I/O virtual address. */
export class DmaTable {
  /** For memory that the client did not share; undefined if it takes no messages. */
  messages: DmaMessages | undefined;
  readonly #trusting: boolean;
  /** Sorted by address, without overlaps. */
  readonly #mappings: DmaMapping[] = [];
  /** Each backing file is mapped whole and only once, for any number of mappings. */
  readonly #backings = new Map<string, SharedMapping>();
  #backingBytes = 0;

  /**
   * `trusting`: also map files that their owner can truncate, which kills this process at its next access
   * there. Otherwise map only files that are sealed against truncation.
   */
  constructor(trusting = false) {
    this.#trusting = trusting;
  }

  /**
   * Adds a mapping of a file from an offset on, or of memory of this process, of which it becomes a user; `flags` are DmaFlag.
   * Throws DmaMapError: an overlap, an impossible range, one not in whole pages, one past the file's end, a
   * file that may be truncated, too many mappings or files. Throws SystemError.
   */
  map(
    iova: number,
    sizeBytes: number,
    flags: number,
    from: Fd | SharedMapping | undefined,
    fileOffset: number,
  ): void {
    const readable = (flags & DmaFlag.READ) !== 0;
    const writable = (flags & DmaFlag.WRITE) !== 0;
    const inPages = iova % PAGE_SIZE === 0 && sizeBytes % PAGE_SIZE === 0;
    if (!Number.isSafeInteger(iova + sizeBytes) || sizeBytes === 0 || !inPages) {
      throw new DmaMapError(`${sizeBytes} bytes at ${iova}`, EINVAL);
    }
    if (this.#mappings.length >= MAX_MAPPINGS) {
      throw new DmaMapError(`there are ${MAX_MAPPINGS} mappings`, ENOSPC);
    }
    const at = this.#firstEndingAfter(iova);
    const next = this.#mappings[at];
    if (next && next.iova < iova + sizeBytes) throw new DmaMapError("overlaps a mapping", EEXIST);
    if (from instanceof SharedMapping) from.hold();
    const backing = from instanceof Fd ? this.#open(from, fileOffset, sizeBytes, writable) : from;
    this.#mappings.splice(at, 0, { iova, sizeBytes, readable, writable, backing, fileOffset });
  }

  /** The index of the first mapping that ends after an address; the number of mappings if none does. */
  #firstEndingAfter(address: number): number {
    let low = 0;
    for (let high = this.#mappings.length; low < high; ) {
      const middle = (low + high) >>> 1;
      const { iova, sizeBytes } = this.#mappings[middle]!;
      if (iova + sizeBytes > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #open(fd: Fd, fileOffset: number, sizeBytes: number, writable: boolean): SharedMapping {
    if (!this.#trusting && !keepsItsPages(fd)) {
      throw new DmaMapError(
        "its memory is not in a memfd sealed against shrinking, so the client could kill this process by truncating it; share a sealed memfd (QEMU: memory-backend-memfd without hugetlb), or serve a model that trusts its clients",
        EPERM,
      );
    }
    const { dev, ino, size } = fstatSync(fd.number);
    if (fileOffset % PAGE_SIZE !== 0 || !(fileOffset + sizeBytes <= size)) {
      throw new DmaMapError(`${sizeBytes} bytes at ${fileOffset} of a file of ${size} bytes`, EINVAL);
    }
    const key = `${dev}:${ino}:${size}:${writable}`;
    const known = this.#backings.get(key);
    if (known) {
      known.hold();
      return known;
    }
    if (this.#backings.size >= MAX_FILES || this.#backingBytes + size > MAX_FILE_BYTES) {
      throw new DmaMapError(`${this.#backings.size} files of ${this.#backingBytes} bytes are mapped`, ENOSPC);
    }
    const backing = new SharedMapping(mapShared(fd.number, size, 0, writable), () => {
      this.#backings.delete(key);
      this.#backingBytes -= size;
    });
    this.#backings.set(key, backing);
    this.#backingBytes += size;
    return backing;
  }

  /** Removes all mappings wholly inside the range. None is not an error, as in the kernel's type 1 IOMMU. */
  unmap(iova: number, sizeBytes: number): void {
    let first = this.#firstEndingAfter(iova);
    if ((this.#mappings[first]?.iova ?? iova) < iova) first++;
    let end = this.#firstEndingAfter(iova + sizeBytes);
    if (end < first) end = first;
    for (const { backing } of this.#mappings.splice(first, end - first)) backing?.release();
  }

  unmapAll(): void {
    this.unmap(0, Number.POSITIVE_INFINITY);
  }

  /**
   * The memory behind a range of device addresses. It stays mapped until each part is released, even if the
   * client unmaps it earlier. Undefined if any byte is not mapped for reading, or for writing if `write`.
   */
  resolve(iova: number, sizeBytes: number, write: boolean): DmaRange[] | undefined {
    const parts = this.#find(iova, sizeBytes, write);
    if (!parts?.every(({ backing }) => backing)) return undefined;
    return parts.map(({ backing, offset, sizeBytes: length }) => backing!.range(offset, length));
  }

  /** Copies from a range of device addresses. False if any byte is not mapped for that, or the client refuses. */
  read(iova: number, to: Uint8Array): boolean {
    return this.#copy(iova, to, false);
  }

  write(iova: number, from: Uint8Array): boolean {
    return this.#copy(iova, from, true);
  }

  #copy(iova: number, bytes: Uint8Array, write: boolean): boolean {
    const parts = this.#find(iova, bytes.byteLength, write);
    let done = 0;
    return (
      parts?.every(({ backing, offset, sizeBytes }) => {
        const part = bytes.subarray(done, done + sizeBytes);
        const at = iova + done;
        done += sizeBytes;
        if (!backing)
          return (write ? this.messages?.write(at, part) : this.messages?.read(at, part)) ?? false;
        const range = [backing.range(offset, sizeBytes)];
        return write ? copyTo(range, part) : copyFrom(range, part);
      }) ?? false
    );
  }

  /** The mapped parts of a range, in order; undefined if any byte is not mapped for the access. */
  #find(iova: number, sizeBytes: number, write: boolean): MappedPart[] | undefined {
    if (!Number.isSafeInteger(iova + sizeBytes)) return undefined;
    const end = iova + sizeBytes;
    const parts: MappedPart[] = [];
    let index = this.#firstEndingAfter(iova);
    for (let at = iova; at < end; index++) {
      const m = this.#mappings[index];
      if (!m || m.iova > at || !(write ? m.writable : m.readable)) return undefined;
      const length = Math.min(end, m.iova + m.sizeBytes) - at;
      const offset = m.fileOffset + (at - m.iova);
      const last = parts.at(-1);
      // A message reaches one mapping: the client may have each in other memory.
      const follows = m.backing && last?.backing === m.backing && last.offset + last.sizeBytes === offset;
      if (follows) last.sizeBytes += length;
      else parts.push({ backing: m.backing, offset, sizeBytes: length });
      at += length;
    }
    return parts;
  }
}

interface MappedPart {
  readonly backing: SharedMapping | undefined;
  readonly offset: number;
  sizeBytes: number;
}
