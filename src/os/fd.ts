import { ptr } from "bun:ffi";
import { constants } from "node:os";
import { check, lastErrno, retryInterrupted, SystemError } from "./errno.ts";
import { libc, pointer } from "./libc.ts";

const alreadyClosed = () => new Error("this file descriptor is already closed");

/** An open file descriptor that closes itself: `using fd = openFile(...)`. Closing twice is harmless. */
export class Fd implements Disposable {
  #number: number;
  #whyClosed = alreadyClosed;

  constructor(number: number) {
    this.#number = number;
  }

  /** The descriptor's number. Throws after close: the kernel may have reused the number. */
  get number(): number {
    if (this.#number < 0) throw this.#whyClosed();
    return this.#number;
  }

  /** Passes ownership to the caller, who closes the descriptor from now on. */
  release(): number {
    const number = this.number;
    this.#number = -1;
    return number;
  }

  /** Closes it. A later use throws what `why` returns. */
  close(why = alreadyClosed): void {
    if (this.#number < 0) return;
    libc.close(this.#number);
    this.#number = -1;
    this.#whyClosed = why;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** open(2) flags, from asm-generic/fcntl.h (these are the same on x86-64 and aarch64). */
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

/** Opens a file or device node; close-on-exec. Throws SystemError. */
export function openFile(path: string, flags: number): Fd {
  return new Fd(check(libc.open(path, flags | O_CLOEXEC, 0), `open ${path}`));
}

/** F_DUPFD_CLOEXEC, from linux/fcntl.h. */
const F_DUPFD_CLOEXEC = 1030;

/** A second descriptor for the same open file; close-on-exec. Throws SystemError. */
export function duplicateFd(number: number): Fd {
  return new Fd(check(libc.fcntl(number, F_DUPFD_CLOEXEC, 0), `duplicate file descriptor ${number}`));
}

/**
 * ioctl(2) with an integer, or with a structure (in its own ArrayBuffer) that the kernel reads and fills in.
 * `what` describes the operation and its object. Returns the call's result. Throws SystemError.
 */
export function ioctl(
  fd: Fd,
  request: number,
  argument: number | Uint8Array | Uint32Array | DataView,
  what: string,
): number {
  const value = typeof argument === "number" ? pointer(argument) : ptr(argument);
  return check(
    retryInterrupted(() => libc.ioctl(fd.number, request, value)),
    what,
  );
}

/** Fills all of `bytes` by pread(2). Throws SystemError; EIO on a short read. */
export function readAt(fd: Fd, bytes: Uint8Array, offset: number, what: string): void {
  whole(
    retryInterrupted(() => Number(libc.pread(fd.number, ptr(bytes), bytes.byteLength, offset))),
    bytes.byteLength,
    what,
  );
}

/** Writes all of `bytes` by pwrite(2). Throws SystemError; EIO on a short write. */
export function writeAt(fd: Fd, bytes: Uint8Array, offset: number, what: string): void {
  whole(
    retryInterrupted(() => Number(libc.pwrite(fd.number, ptr(bytes), bytes.byteLength, offset))),
    bytes.byteLength,
    what,
  );
}

function whole(result: number, sizeBytes: number, what: string): void {
  if (result !== sizeBytes) throw new SystemError(what, result < 0 ? lastErrno() : constants.errno.EIO);
}

/** LOCK_EX | LOCK_NB, from asm-generic/fcntl.h. */
const LOCK_NOW = 2 | 4;

/** Takes an exclusive flock(2) until `fd` is closed; false if another open file has it. Throws SystemError. */
export function tryLock(fd: Fd, what: string): boolean {
  const result = retryInterrupted(() => libc.flock(fd.number, LOCK_NOW));
  if (result < 0 && lastErrno() === constants.errno.EAGAIN) return false;
  check(result, what);
  return true;
}
