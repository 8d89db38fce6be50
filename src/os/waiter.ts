import { MOST_MS } from "./poll.ts";

/** One waiter at a time on Bun's event loop, with a time limit. */
export class Waiter {
  readonly #of: string;
  #wake: (() => void) | undefined;

  /** `of` is what is waited for, for messages. */
  constructor(of: string) {
    this.#of = of;
  }

  /** Resolves at the next `wake`, or when the time is over. Throws Error if another waiter is already waiting. */
  async wait(timeoutMs: number): Promise<void> {
    if (this.#wake) throw new Error(`another waiter is already waiting for this ${this.#of}`);
    await new Promise<void>((resolve) => {
      const timer = timeoutMs <= MOST_MS ? setTimeout(resolve, timeoutMs) : undefined;
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  wake(): void {
    this.#wake?.();
  }
}
