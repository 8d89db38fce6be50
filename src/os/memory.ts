import { toArrayBuffer } from "bun:ffi";
import { statfsSync } from "node:fs";
import { check, lastErrno, SystemError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { libc, MAP_FAILED, pointer } from "./libc.ts";

/** From asm-generic/mman-common.h. */
const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const MAP_HUGETLB = 0x40000;
const MADV_DONTFORK = 10;
const MADV_HUGEPAGE = 14;
/** The flags encode a huge page's size as its base-2 logarithm: mmap(2). */
const MAP_HUGE_SHIFT = 26;

/** The page size of x86-64 and of Debian's aarch64 kernels. Kernels with larger pages refuse these mappings. */
export const PAGE_SIZE = 4096;

const alreadyUnmapped = () => new Error("this mapping is already unmapped");

/** Memory mapped into this process. Unmapped on dispose; no view of it may be used afterwards. */
export class Mapping implements Disposable {
  readonly #address: number;
  readonly sizeBytes: number;
  readonly #unmap: () => void;
  #mapped = true;
  #whyUnmapped = alreadyUnmapped;

  constructor(
    address: number,
    sizeBytes: number,
    unmap = (): void => void libc.munmap(pointer(address), sizeBytes),
  ) {
    this.#address = address;
    this.sizeBytes = sizeBytes;
    this.#unmap = unmap;
  }

  /** Virtual address of the first byte. Throws after unmapping: an access there would kill the process. */
  get address(): number {
    if (!this.#mapped) throw this.#whyUnmapped();
    return this.#address;
  }

  /** Unmaps it. A later use throws what `why` returns. */
  unmap(why = alreadyUnmapped): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#whyUnmapped = why;
    this.#unmap();
  }

  /** A view of ordinary shared memory. Never for a BAR: see access.ts. */
  bytes(offset = 0, sizeBytes = this.sizeBytes - offset): Uint8Array<ArrayBuffer> {
    if (!this.#mapped) throw this.#whyUnmapped();
    if (offset < 0 || sizeBytes < 0 || offset + sizeBytes > this.sizeBytes) {
      throw new RangeError(
        `${sizeBytes} bytes at ${offset} lie outside a mapping of ${this.sizeBytes} bytes`,
      );
    }
    return viewMemory(this.address + offset, sizeBytes);
  }

  [Symbol.dispose](): void {
    this.unmap();
  }
}

function map(sizeBytes: number, protection: number, flags: number, fd: number, offset: number): Mapping {
  const address = libc.mmap(null, sizeBytes, protection, flags, fd, offset) as number | bigint | null;
  if (address === null || BigInt(address) === MAP_FAILED) {
    throw new SystemError(`map ${sizeBytes} bytes of file descriptor ${fd} at offset ${offset}`, lastErrno());
  }
  return new Mapping(Number(address), sizeBytes);
}

/** Maps `sizeBytes` of a file from `offset` (a multiple of the page size), MAP_SHARED. Throws SystemError. */
export function mapShared(fd: number, sizeBytes: number, offset = 0, writable = true): Mapping {
  return map(sizeBytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, offset);
}

/**
 * Maps zeroed anonymous memory in pages of `pageBytes`: 4 KiB, or a size that hugetlbfs has. Children share
 * it or do not get it, so a fork never copies a page that a device uses. Throws SystemError: ENOMEM when no
 * such pages are left.
 */
export function mapAnonymous(sizeBytes: number, pageBytes = PAGE_SIZE): Mapping {
  if (alignmentOf(sizeBytes, pageBytes) > pageBytes) return mapTransparent(sizeBytes);
  const huge = pageBytes === PAGE_SIZE ? 0 : MAP_HUGETLB | (Math.log2(pageBytes) << MAP_HUGE_SHIFT);
  return map(sizeBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | huge, -1, 0);
}

/**
 * The size of a transparent huge page on x86-64, and on aarch64 with 4 KiB pages. Memory of at least this
 * size is aligned to it, and the kernel backs it with such pages where it can: an IOMMU maps each one whole.
 */
const TRANSPARENT_BYTES = 2 ** 21;

/** Asks for huge pages in this memory from the first place where one can be. Where the kernel refuses, small ones stay. */
export function preferHugePages(address: number, sizeBytes: number): void {
  const begin = Math.ceil(address / TRANSPARENT_BYTES) * TRANSPARENT_BYTES;
  const end = Math.floor((address + sizeBytes) / PAGE_SIZE) * PAGE_SIZE;
  if (end > begin) libc.madvise(pointer(begin), end - begin, MADV_HUGEPAGE);
}

/** The alignment of mapAnonymous's memory. An IOVA aligned alike lets an IOMMU map its pages whole. */
export function alignmentOf(sizeBytes: number, pageBytes: number): number {
  return pageBytes === PAGE_SIZE && sizeBytes >= TRANSPARENT_BYTES ? TRANSPARENT_BYTES : pageBytes;
}

/** Private memory, which readily gets huge pages. Children do not inherit it, so no page is ever copied. */
function mapTransparent(sizeBytes: number): Mapping {
  const roomBytes = sizeBytes + TRANSPARENT_BYTES;
  const room = map(roomBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const start = room.address;
  const address = Math.ceil(start / TRANSPARENT_BYTES) * TRANSPARENT_BYTES;
  try {
    check(libc.madvise(pointer(address), sizeBytes, MADV_DONTFORK), `keep ${sizeBytes} bytes from children`);
  } catch (error) {
    room[Symbol.dispose]();
    throw error;
  }
  preferHugePages(address, sizeBytes);
  const end = address + sizeBytes;
  if (address > start) libc.munmap(pointer(start), address - start);
  libc.munmap(pointer(end), start + roomBytes - end);
  return new Mapping(address, sizeBytes);
}

/** Maps `code` as executable memory, which is never writable at the same time. Throws SystemError. */
export function mapExecutable(code: Uint8Array): Mapping {
  const sizeBytes = Math.ceil(code.byteLength / PAGE_SIZE) * PAGE_SIZE;
  const mapping = map(sizeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mapping.bytes().set(code);
  check(
    libc.mprotect(pointer(mapping.address), sizeBytes, PROT_READ | PROT_EXEC),
    "make accessors executable",
  );
  return mapping;
}

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
/** From linux/fcntl.h. F_SEAL_SEAL forbids adding seals, e.g. one that forbids writing. */
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;

/**
 * Anonymous memory with a file descriptor to share it; `name` shows in /proc only. Its size is sealed, so no
 * holder of the descriptor can take away pages that are mapped here. Throws SystemError.
 */
export function createMemfd(name: string, sizeBytes: number): Fd {
  const fd = new Fd(check(libc.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), `create memfd ${name}`));
  try {
    check(libc.ftruncate(fd.number, sizeBytes), `size memfd ${name} to ${sizeBytes} bytes`);
    const seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
    check(libc.fcntl(fd.number, F_ADD_SEALS, seals), `seal memfd ${name}`);
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
  return fd;
}

/** HUGETLBFS_MAGIC, linux/magic.h. */
const HUGETLBFS = 0x958458f6;

/**
 * Whether a file's pages stay available while they are mapped. Where another holder of the descriptor can
 * take them away, an access kills this process (SIGBUS). True for memory with a sealed size, except on
 * hugetlbfs, where a punched hole may not be filled again. Does not query other files: their file systems may
 * not answer.
 */
export function keepsItsPages(fd: Fd): boolean {
  const seals = libc.fcntl(fd.number, F_GET_SEALS, 0);
  if (seals < 0 || !(seals & F_SEAL_SHRINK)) return false;
  return statfsSync(`/proc/self/fd/${fd.number}`).type !== HUGETLBFS;
}

/** FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, linux/falloc.h. */
const PUNCH_HOLE = 0x03;

/** Zeroes a part of a memfd, including where it is mapped, and frees its pages. Throws SystemError. */
export function clearMemfd(fd: Fd, sizeBytes: number, offset = 0): void {
  check(libc.fallocate(fd.number, PUNCH_HOLE, offset, sizeBytes), `clear ${sizeBytes} bytes of a memfd`);
}

/** A view of ordinary RAM. The owner keeps the address mapped as long as the view is used. */
export function viewMemory(address: number, sizeBytes: number): Uint8Array<ArrayBuffer> {
  if (sizeBytes === 0) return new Uint8Array(0);
  return new Uint8Array(toArrayBuffer(pointer(address), 0, sizeBytes));
}

/** Copies ordinary RAM natively, without a view. Never for a BAR: see access.ts. */
export function copyMemory(to: number, from: number, sizeBytes: number): void {
  libc.memmove(pointer(to), pointer(from), sizeBytes);
}
