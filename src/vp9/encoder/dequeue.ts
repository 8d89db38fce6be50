/** The "dequeue" event of an encoder, as WebCodecs has it. */

/** Listens for "dequeue". */
export type DequeueListener = ((event: Event) => void) | { handleEvent(event: Event): void };

/** EventTarget, as far as an encoder uses it: it fires "dequeue" after `encodeQueueSize` went down. */
export interface DequeueTarget {
  addEventListener(
    type: "dequeue",
    listener: DequeueListener | null,
    options?: boolean | { readonly once?: boolean; readonly signal?: AbortSignal },
  ): void;
  removeEventListener(type: "dequeue", listener: DequeueListener | null): void;
  dispatchEvent(event: Event): boolean;
}

/** The runtime's own EventTarget, by a type that needs no other declarations. */
export const EncoderEvents: new () => DequeueTarget = EventTarget;

/** The number of frames that wait for the device. Tells of it going down, once for all that happens in a turn of the event loop. */
export class EncodeQueue {
  readonly #fire: () => void;
  #size = 0;
  #scheduled = false;

  constructor(fire: () => void) {
    this.#fire = fire;
  }

  get size(): number {
    return this.#size;
  }

  add(): void {
    this.#size++;
  }

  remove(): void {
    this.#size--;
    this.#schedule();
  }

  clear(): void {
    if (this.#size === 0) return;
    this.#size = 0;
    this.#schedule();
  }

  /** "Schedule Dequeue Event" of WebCodecs. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#fire();
    });
  }
}
