/** How much memory the kernel lets this process pin: RLIMIT_MEMLOCK, proc(5). */
import { readFileSync } from "node:fs";

/** CAP_IPC_LOCK, linux/capability.h: a process that has it is not limited. */
const CAP_IPC_LOCK = 14n;

/** Bytes that may still be pinned; infinity if there is no limit. */
export function lockableBytes(): number {
  const status = readFileSync("/proc/self/status", "latin1");
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  if (capabilities & (1n << CAP_IPC_LOCK)) return Number.POSITIVE_INFINITY;
  const limit = /^Max locked memory\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
  if (limit === undefined || limit === "unlimited") return Number.POSITIVE_INFINITY;
  const lockedKib = Number(/^VmLck:\s*(\d+)/m.exec(status)?.[1] ?? 0);
  return Math.max(0, Number(limit) - lockedKib * 1024);
}
