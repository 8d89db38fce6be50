import { ptr } from "bun:ffi";
import { constants } from "node:os";
import { check, lastErrno, SystemError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { libc } from "./libc.ts";
import { takeWithin } from "./poll.ts";
import { Waiter } from "./waiter.ts";

const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

type Reader = ReturnType<typeof openStream>;

/** Bun reads a duplicate of the descriptor on its event loop; cancelling closes only the duplicate. */
function openStream(fd: number) {
  return Bun.file(fd).stream().getReader();
}

/**
 * An eventfd (eventfd(2)): a kernel counter that one side adds to and the other waits on. It delivers
 * interrupts in VFIO and vfio-user, and wakes the model's threads.
 */
export class EventFd implements Disposable {
  readonly fd: Fd;
  readonly #counter = new BigUint64Array(new ArrayBuffer(8));
  #stream: Reader | undefined;
  #pending = 0;
  readonly #waiter = new Waiter("eventfd");
  #act: ((count: number) => void) | undefined;

  /** Creates an eventfd, or takes over a received one, which must be non-blocking. Throws SystemError. */
  constructor(fd = new Fd(check(libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "create an eventfd"))) {
    this.fd = fd;
  }

  /** Adds to the counter. */
  signal(count = 1): void {
    this.#counter[0] = BigInt(count);
    const written = Number(libc.write(this.fd.number, ptr(this.#counter), 8));
    // EAGAIN: the counter is at its maximum, so the waiter already has a signal.
    if (written < 0 && lastErrno() !== constants.errno.EAGAIN) {
      throw new SystemError("signal an eventfd", lastErrno());
    }
  }

  /** Takes the counter without waiting. Returns the number of signals since it was last taken. */
  take(): number {
    const got = Number(libc.read(this.fd.number, ptr(this.#counter), 8));
    if (got === 8) return Number(this.#counter[0]);
    const errno = lastErrno();
    if (errno === constants.errno.EAGAIN || errno === constants.errno.EINTR) return 0;
    throw new SystemError("read an eventfd", errno);
  }

  /** Blocks the thread until a signal arrives. Returns the number of signals, or 0 on timeout. */
  wait(timeoutMs: number): number {
    return takeWithin(this.fd.number, () => this.take(), timeoutMs);
  }

  /**
   * Waits on Bun's event loop until a signal arrives. Returns the number of signals, or 0 on timeout. From
   * the first call on, the event loop takes the signals: `take` and `wait` no longer see them. One waiter at
   * a time.
   */
  async waitAsync(timeoutMs: number): Promise<number> {
    if (this.#stream === undefined) {
      this.#stream = openStream(this.fd.number);
      void this.#collect(this.#stream);
    }
    if (this.#pending === 0) await this.#waiter.wait(timeoutMs);
    return this.#takePending();
  }

  /**
   * Calls `act` on Bun's event loop with the number of signals whenever there are some, instead of waitAsync. From now on the
   * event loop takes the signals.
   */
  onSignal(act: (count: number) => void): void {
    this.#act = act;
    this.#stream = openStream(this.fd.number);
    void this.#collect(this.#stream);
  }

  async #collect(stream: Reader): Promise<void> {
    for (;;) {
      const { value, done } = await stream.read();
      if (done || this.#stream !== stream) return; // the stream differs after dispose
      const counts = new DataView(value.buffer, value.byteOffset, value.byteLength);
      for (let at = 0; at + 8 <= value.byteLength; at += 8)
        this.#pending += Number(counts.getBigUint64(at, true));
      if (this.#act) this.#act(this.#takePending());
      else this.#waiter.wake();
    }
  }

  #takePending(): number {
    const count = this.#pending;
    this.#pending = 0;
    return count;
  }

  /** Closes it; a wait that is under way ends with 0. A later use throws what `why` returns. */
  close(why?: () => Error): void {
    void this.#stream?.cancel();
    this.#stream = undefined;
    this.#waiter.wake();
    this.fd.close(why);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
