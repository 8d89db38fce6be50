import { ptr } from "bun:ffi";
import { constants } from "node:os";
import { lastErrno, SystemError } from "./errno.ts";
import { libc } from "./libc.ts";

/** From asm-generic/poll.h. */
export const POLLIN = 1;
export const POLLOUT = 4;

export interface PollEntry {
  readonly fd: number;
  readonly events: number;
}

/** `struct pollfd`, poll(2): i32 fd, i16 events, i16 revents. */
const POLLFD_BYTES = 8;
/**
 * The longest time that poll(2) and the event loop's timers can wait, an int in milliseconds. poll's callers find that their time
 * has not come; a timer that is longer, or infinite, would be due at once.
 */
export const MOST_MS = 2 ** 31 - 1;
let table = new DataView(new ArrayBuffer(8 * POLLFD_BYTES));

/**
 * Blocks until an entry is ready or the time limit passes (negative: no limit). Returns the ready events of
 * each entry, in order; 0 for none. A signal handler can end the wait early with all 0, so callers loop.
 */
export function poll(entries: readonly PollEntry[], timeoutMs: number): number[] {
  if (table.byteLength < entries.length * POLLFD_BYTES) {
    table = new DataView(new ArrayBuffer(entries.length * POLLFD_BYTES));
  }
  // A server polls for each message, so this is written to take little time.
  for (let i = 0; i < entries.length; i++) {
    table.setInt32(i * POLLFD_BYTES, entries[i]!.fd, true);
    table.setInt32(i * POLLFD_BYTES + 4, entries[i]!.events, true); // and no revents
  }
  const ready = libc.poll(
    ptr(table),
    entries.length,
    timeoutMs < 0 ? -1 : Math.min(Math.ceil(timeoutMs), MOST_MS),
  );
  if (ready < 0 && lastErrno() !== constants.errno.EINTR) throw new SystemError("poll", lastErrno());
  const events: number[] = [];
  for (let i = 0; i < entries.length; i++) events.push(table.getInt16(i * POLLFD_BYTES + 6, true));
  return events;
}

/** Calls `take` until it returns a count above 0, and `idle`, which waits at most so long, in between; returns 0 on timeout. */
export function takeBetween(take: () => number, idle: (leftMs: number) => void, timeoutMs: number): number {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const count = take();
    if (count > 0) return count;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return 0;
    idle(leftMs);
  }
}

/** Like takeBetween, waiting until `fd` is readable. */
export function takeWithin(fd: number, take: () => number, timeoutMs: number): number {
  return takeBetween(take, (leftMs) => void poll([{ fd, events: POLLIN }], leftMs), timeoutMs);
}
