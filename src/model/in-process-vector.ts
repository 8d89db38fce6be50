/** A vector of a model in this process. */
import type { Interrupt } from "../device/device.ts";
import type { Signal } from "./interrupts.ts";

/** The model, as a vector's waiter sees it. */
export interface WorkingModel {
  /** Lets the model do what is due. */
  turn(): void;
  /** Blocks until the model has something to do, at most so long. */
  idle(timeoutMs: number): void;
}

/** Waiting for it lets the model work. */
export class InProcessVector implements Interrupt, Signal {
  readonly #model: WorkingModel;
  #count = 0;
  #wake: (() => void) | undefined;

  constructor(model: WorkingModel) {
    this.#model = model;
  }

  signal(): void {
    this.#count++;
    this.#wake?.();
  }

  take(): number {
    this.#model.turn();
    const count = this.#count;
    this.#count = 0;
    return count;
  }

  wait(timeoutMs: number): number {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const count = this.take();
      if (count > 0) return count;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return 0;
      this.#model.idle(leftMs);
    }
  }

  async waitAsync(timeoutMs: number): Promise<number> {
    if (this.#wake) throw new Error("another waiter is already waiting for this interrupt");
    if (this.#count === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    return this.take();
  }

  [Symbol.dispose](): void {
    this.#wake?.();
  }
}
