/** Waits on the event loop for the descriptors that a model in this process waits for. */
import { EventFd } from "../os/eventfd.ts";
import { duplicateFd } from "../os/fd.ts";
import { isEventFd } from "../os/peer-eventfd.ts";
import type { Wakeup } from "./device-model.ts";

export class WakeupWatch implements Disposable {
  readonly #wake: () => void;
  #watched: readonly Wakeup[] = [];
  #eventFds: readonly EventFd[] = [];

  /** `wake` is called when one of the eventfds is readable. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Whether there are other descriptors than eventfds: Bun's event loop can't wait for those without reading from them. */
  get missesSome(): boolean {
    return this.#eventFds.length < this.#watched.length;
  }

  /** Watches these from now on, and no others. */
  watch(wakeups: readonly Wakeup[]): void {
    const isSame =
      wakeups.length === this.#watched.length && wakeups.every((one, i) => one === this.#watched[i]);
    if (isSame) return;
    this[Symbol.dispose]();
    this.#watched = [...wakeups];
    this.#eventFds = wakeups.flatMap(({ fd }) => this.#watchEventFd(fd));
  }

  #watchEventFd(fd: number): EventFd[] {
    const ours = duplicateFd(fd);
    if (!isEventFd(ours)) {
      ours[Symbol.dispose]();
      return [];
    }
    const eventFd = new EventFd(ours);
    eventFd.onSignal((count) => {
      eventFd.signal(count); // the event loop has taken it, and it is the model's
      this.#wake();
    });
    return [eventFd];
  }

  [Symbol.dispose](): void {
    for (const eventFd of this.#eventFds) eventFd[Symbol.dispose]();
    this.#eventFds = this.#watched = [];
  }
}
