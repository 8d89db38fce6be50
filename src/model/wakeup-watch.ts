/** Waits on the event loop for the descriptors that a model in this process waits for. */
import { readFileSync } from "node:fs";
import { SystemError } from "../os/errno.ts";
import { EventFd } from "../os/eventfd.ts";
import { duplicateFd } from "../os/fd.ts";
import type { Wakeup } from "./device-model.ts";

/** An eventfd that is watched. The event loop takes its count, which is put back before the model is called. */
interface Watched extends Disposable {
  putBack(): void;
}

export class WakeupWatch implements Disposable {
  readonly #wake: () => void;
  #wakeups: readonly Wakeup[] = [];
  /** By the kernel's number of the eventfd: a reset model may register the same one again, whose count must not get lost. */
  readonly #watched = new Map<string, Watched>();
  #missesSome = false;

  /** `wake` is called, on a turn of the event loop of its own, when one of the eventfds is readable. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Whether there are others than eventfds: Bun's event loop can't wait for those without reading from them. */
  get missesSome(): boolean {
    return this.#missesSome;
  }

  /** Watches these from now on, and no others. */
  watch(wakeups: readonly Wakeup[]): void {
    const isSame =
      wakeups.length === this.#wakeups.length && wakeups.every((one, i) => one === this.#wakeups[i]);
    if (isSame) return;
    this.#wakeups = [...wakeups];
    this.#missesSome = false;
    const wanted = new Set<string>();
    for (const { fd } of wakeups) {
      const id = eventFdId(fd);
      if (id !== undefined && this.#start(id, fd)) wanted.add(id);
      else this.#missesSome = true;
    }
    for (const id of this.#watched.keys()) if (!wanted.has(id)) this.#end(id);
  }

  /** Puts back what the event loop has taken, for a caller that polls. */
  putBack(): void {
    for (const watched of this.#watched.values()) watched.putBack();
  }

  /** False if there is no descriptor left to watch it by. */
  #start(id: string, fd: number): boolean {
    if (this.#watched.has(id)) return true;
    try {
      this.#watched.set(id, watchEventFd(fd, this.#wake));
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return false;
    }
  }

  #end(id: string): void {
    this.#watched.get(id)?.[Symbol.dispose]();
    this.#watched.delete(id);
  }

  [Symbol.dispose](): void {
    for (const id of [...this.#watched.keys()]) this.#end(id);
    this.#wakeups = [];
  }
}

/** Throws SystemError. */
function watchEventFd(fd: number, wake: () => void): Watched {
  const eventFd = new EventFd(duplicateFd(fd));
  let taken = 0;
  const putBack = () => {
    if (taken > 0) eventFd.signal(taken);
    taken = 0;
  };
  eventFd.onSignal((count) => {
    // A turn of its own: a handler that leaves the count is called again and again, and timers must run in between.
    if (taken === 0)
      setImmediate(() => {
        if (taken === 0) return;
        putBack();
        wake();
      });
    taken += count;
  });
  return {
    putBack,
    [Symbol.dispose]() {
      putBack();
      eventFd[Symbol.dispose]();
    },
  };
}

/** The kernel's number of an eventfd (proc_pid_fdinfo(5)); undefined for another file. */
function eventFdId(fd: number): string | undefined {
  return /^eventfd-id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1];
}
