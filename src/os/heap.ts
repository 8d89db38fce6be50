/**
 * The C library's heap, from which libraries take their memory: mallopt(3), madvise(2). Where one takes 100 MiB and more in
 * small pages, page faults alone take a good part of a second.
 */
import { dlopen, FFIType } from "bun:ffi";
import { preferHugePages } from "./memory.ts";

/** From malloc.h. */
const M_TRIM_THRESHOLD = -1;
const M_MMAP_MAX = -4;
const M_ARENA_MAX = -8;

/** Undefined for musl, which has no mallopt. */
function openHeap() {
  try {
    return dlopen("libc.so.6", {
      mallopt: { args: ["i32", "i32"], returns: "i32" },
      malloc: { args: ["u64"], returns: FFIType.i64_fast },
      free: { args: ["u64"], returns: "void" },
    }).symbols;
  } catch {
    return undefined;
  }
}

const heap = openHeap();

/**
 * Makes all threads of this process take memory from one heap, which gives none back to the kernel. For a program of ours,
 * before it starts threads: a thread keeps the heap that it began with.
 */
export function useOneHeap(): void {
  heap?.mallopt(M_ARENA_MAX, 1);
  heap?.mallopt(M_MMAP_MAX, 0);
  heap?.mallopt(M_TRIM_THRESHOLD, -1); // never
}

/**
 * Asks the kernel for huge pages for the next `sizeBytes` that this thread takes from the heap. It gets none without
 * useOneHeap, with another C library than glibc, or where the kernel has no such pages.
 */
export function expectHeapUse(sizeBytes: number): void {
  if (!heap) return;
  const address = Number(heap.malloc(sizeBytes));
  if (address === 0) return; // what needs the memory fails, and says so
  preferHugePages(address, sizeBytes);
  heap.free(address);
}
