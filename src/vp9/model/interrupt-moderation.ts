/** When the endpoint raises its interrupt: IRQ_STATUS, IRQ_ENABLE and IRQ_MODERATION. */

import type { ModelDevice } from "../../model/model-description.ts";
import { fieldMask, getField } from "../../registers/fields.ts";
import { registers } from "../contract/registers.ts";

const { COMPLETION, STATE } = registers.IRQ_STATUS.fields;
const { COUNT, TIME_US } = registers.IRQ_MODERATION.fields;

export class InterruptModeration {
  readonly #device: ModelDevice<typeof registers>;
  /** Completions not yet announced, and what cancels announcing them. */
  #waiting = 0;
  #cancel: (() => void) | undefined;

  constructor(device: ModelDevice<typeof registers>) {
    this.#device = device;
  }

  stateChanged(): void {
    this.#raise(fieldMask(STATE));
  }

  /** A completion was written; `now` if it must not wait for others. */
  completed(now: boolean): void {
    const moderation = this.#device.get("IRQ_MODERATION");
    this.#waiting++;
    if (now || this.#waiting >= getField(COUNT, moderation)) this.announce();
    else this.#cancel ??= this.#device.after(getField(TIME_US, moderation) / 1000, () => this.announce());
  }

  /** Announces the waiting completions. */
  announce(): void {
    this.forget();
    this.#raise(fieldMask(COMPLETION));
  }

  /** Drops the waiting completions unannounced. */
  forget(): void {
    this.#waiting = 0;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Software wrote IRQ_STATUS: ones clear. */
  clear(mask: number): void {
    this.#device.set("IRQ_STATUS", (this.#device.get("IRQ_STATUS") & ~mask) >>> 0);
    this.#lowerIfQuiet();
  }

  /** Software wrote IRQ_ENABLE: what happened before it was enabled is announced now. */
  enable(mask: number): void {
    const added = mask & ~this.#device.get("IRQ_ENABLE");
    this.#device.set("IRQ_ENABLE", mask);
    if (this.#device.get("IRQ_STATUS") & added) this.#device.raise();
    this.#lowerIfQuiet();
  }

  #raise(mask: number): void {
    this.#device.set("IRQ_STATUS", (this.#device.get("IRQ_STATUS") | mask) >>> 0);
    if (this.#device.get("IRQ_ENABLE") & mask) this.#device.raise();
  }

  #lowerIfQuiet(): void {
    if ((this.#device.get("IRQ_STATUS") & this.#device.get("IRQ_ENABLE")) === 0) this.#device.lower();
  }
}
