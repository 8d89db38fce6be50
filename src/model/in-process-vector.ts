/** A vector of a model in this process. */
import type { Interrupt } from "../device/device.ts";
import { takeBetween } from "../os/poll.ts";
import { Waiter } from "../os/waiter.ts";
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
  readonly #waiter = new Waiter("interrupt");

  constructor(model: WorkingModel) {
    this.#model = model;
  }

  signal(): void {
    this.#count++;
    this.#waiter.wake();
  }

  take(): number {
    this.#model.turn();
    const count = this.#count;
    this.#count = 0;
    return count;
  }

  wait(timeoutMs: number): number {
    return takeBetween(
      () => this.take(),
      (leftMs) => this.#model.idle(leftMs),
      timeoutMs,
    );
  }

  async waitAsync(timeoutMs: number): Promise<number> {
    if (this.#count === 0) await this.#waiter.wait(timeoutMs);
    return this.take();
  }

  [Symbol.dispose](): void {
    this.#waiter.wake();
  }
}
