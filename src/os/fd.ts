import { check } from "./errno.ts";
import { libc } from "./libc.ts";

/** An open file descriptor that closes itself: `using fd = openFile(...)`. Closing twice is harmless. */
export class Fd implements Disposable {
  #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  /** The descriptor's number. Throws once it is closed, so that a number reused by the kernel is never touched. */
  get number(): number {
    if (this.#number < 0) throw new Error("this file descriptor is already closed");
    return this.#number;
  }

  /** Gives the descriptor away: the caller closes it from now on. */
  release(): number {
    const number = this.number;
    this.#number = -1;
    return number;
  }

  [Symbol.dispose](): void {
    if (this.#number < 0) return;
    libc.close(this.#number);
    this.#number = -1;
  }
}

/** open(2) flags, from asm-generic/fcntl.h (the same on x86-64 and aarch64 for these). */
export const O_RDONLY = 0;
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
