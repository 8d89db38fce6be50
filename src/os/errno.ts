import { read } from "bun:ffi";
import { constants } from "node:os";
import { libc } from "./libc.ts";

const names = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) {
  if (!names.has(number)) names.set(number, name);
}

/** The name of an errno value, e.g. 2 → "ENOENT"; "errno 9999" if it has no name. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** The calling thread's errno. Valid only directly after a failed call. */
export function lastErrno(): number {
  return read.i32(libc.__errno_location()!, 0);
}

/** A failed system call: what was tried, on which object, and the errno by name. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  readonly errno: number;
  /** The errno's name, e.g. "EACCES", as in Node's errors. */
  readonly code: string;

  constructor(what: string, errno: number) {
    super(`${what}: ${errnoName(errno)}`);
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** Returns a system call's result. Throws a {@link SystemError} about `what` if the result is negative. */
export function check(result: number, what: string): number {
  if (result < 0) throw new SystemError(what, lastErrno());
  return result;
}

/** Repeats a call while signal handlers interrupt it (EINTR). Returns any other result unchanged. */
export function retryInterrupted(call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0 || lastErrno() !== constants.errno.EINTR) return result;
  }
}
