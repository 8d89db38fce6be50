/** Memory in huge pages, which the kernel does not swap out, and where it lies: Documentation/admin-guide/mm/hugetlbpage.rst. */
import { check, lastErrno, retryInterrupted, SystemError } from "./errno.ts";
import { Fd, O_RDONLY, openFile, readAt } from "./fd.ts";
import { libc, MAP_FAILED, pointer } from "./libc.ts";
import { Mapping, PAGE_SIZE } from "./memory.ts";

/** The size of a huge page on x86-64, and on aarch64 with 4 KiB pages. */
export const HUGE_PAGE = 2 ** 21;

/** From linux/memfd.h. The flags encode the page's size as its base-2 logarithm. */
const MFD_CLOEXEC = 1;
const MFD_HUGETLB = 4;
const MFD_HUGE_SHIFT = 26;
/** From asm-generic/mman-common.h. */
const PROT_NONE = 0;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;

/** A file of huge pages, without any yet. Throws SystemError. */
export function createHugeFile(name: string): Fd {
  const flags = MFD_CLOEXEC | MFD_HUGETLB | (Math.log2(HUGE_PAGE) << MFD_HUGE_SHIFT);
  return new Fd(check(libc.memfd_create(name, flags), `create memfd ${name} of huge pages`));
}

/**
 * Gives the file pages of its own, zeroed, from `offset` on: no access to them can fail later. Throws SystemError: ENOSPC if too few
 * are free.
 */
export function fillHugeFile(file: Fd, offset: number, pages: number): void {
  check(
    retryInterrupted(() => libc.fallocate(file.number, 0, offset, pages * HUGE_PAGE)),
    `take ${pages} huge pages`,
  );
}

/** Maps the file's pages at these offsets as one piece of memory, in this order, and locks them. Throws SystemError. */
export function mapHugePages(file: Fd, offsets: readonly number[]): Mapping {
  const sizeBytes = offsets.length * HUGE_PAGE;
  const roomBytes = sizeBytes + HUGE_PAGE;
  const room = place(null, roomBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const unmap = () => void libc.munmap(pointer(room), roomBytes);
  const address = Math.ceil(room / HUGE_PAGE) * HUGE_PAGE;
  try {
    for (const [i, offset] of offsets.entries())
      place(address + i * HUGE_PAGE, HUGE_PAGE, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, file.number, offset);
    check(libc.mlock(pointer(address), sizeBytes), `lock ${offsets.length} huge pages`);
  } catch (error) {
    unmap();
    throw error;
  }
  return new Mapping(address, sizeBytes, unmap);
}

function place(
  address: number | null,
  sizeBytes: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
): number {
  const at = address === null ? null : pointer(address);
  const result = libc.mmap(at, sizeBytes, protection, flags, fd, offset) as number | bigint | null;
  if (result === null || BigInt(result) === MAP_FAILED)
    throw new SystemError(`map ${sizeBytes} bytes of huge pages`, lastErrno());
  return Number(result);
}

/** Documentation/admin-guide/mm/pagemap.rst: eight bytes for each page; bit 63: it is in memory; bits 0 to 54: its frame's number. */
const ENTRY_BYTES = 8;
const PRESENT = 1n << 63n;
const FRAME = (1n << 55n) - 1n;

/**
 * Physical addresses of pages of this process, which must have been accessed. Undefined for one that is not in memory, and for all
 * if this process lacks CAP_SYS_ADMIN. Throws SystemError.
 */
export function physicalAddresses(addresses: readonly number[]): (number | undefined)[] {
  using pagemap = openFile("/proc/self/pagemap", O_RDONLY);
  const entry = new DataView(new ArrayBuffer(ENTRY_BYTES));
  return addresses.map((address) => {
    const bytes = new Uint8Array(entry.buffer);
    readAt(pagemap, bytes, Math.floor(address / PAGE_SIZE) * ENTRY_BYTES, "read /proc/self/pagemap");
    const value = entry.getBigUint64(0, true);
    const frame = Number(value & FRAME);
    return value & PRESENT && frame > 0 ? frame * PAGE_SIZE : undefined;
  });
}
