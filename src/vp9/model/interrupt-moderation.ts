/** When the endpoint raises its interrupt: IRQ_STATUS, IRQ_ENABLE and IRQ_MODERATION. */

import type { Host } from "../../model/device-model.ts";
import type { RegisterFile } from "../../model/register-file.ts";
import { fieldMask, getField } from "../../registers/table.ts";
import { registers } from "../contract/registers.ts";

const { COMPLETION, STATE } = registers.IRQ_STATUS.fields;
const { COUNT, TIME_US } = registers.IRQ_MODERATION.fields;
const NEVER = Number.POSITIVE_INFINITY;

export class InterruptModeration {
  readonly #registers: RegisterFile<typeof registers>;
  readonly #host: Host;
  /** Completions not yet announced. */
  #waiting = 0;
  /** When they are due, on performance.now()'s clock. */
  dueMs = NEVER;

  constructor(registerFile: RegisterFile<typeof registers>, host: Host) {
    this.#registers = registerFile;
    this.#host = host;
  }

  stateChanged(): void {
    this.#raise(fieldMask(STATE));
  }

  /** A completion was written; `now` if it must not wait for others. */
  completed(now: boolean): void {
    const moderation = this.#registers.get("IRQ_MODERATION");
    this.#waiting++;
    if (now || this.#waiting >= getField(COUNT, moderation)) this.announce();
    else if (this.dueMs === NEVER) this.dueMs = performance.now() + getField(TIME_US, moderation) / 1000;
  }

  /** Announces the waiting completions. */
  announce(): void {
    this.forget();
    this.#raise(fieldMask(COMPLETION));
  }

  /** Drops the waiting completions unannounced. */
  forget(): void {
    this.#waiting = 0;
    this.dueMs = NEVER;
  }

  /** Software wrote IRQ_STATUS: ones clear. */
  clear(mask: number): void {
    this.#registers.set("IRQ_STATUS", this.#registers.get("IRQ_STATUS") & ~mask);
    this.#lowerIfQuiet();
  }

  /** Software wrote IRQ_ENABLE: what happened before it was enabled is announced now. */
  enable(mask: number): void {
    const added = mask & ~this.#registers.get("IRQ_ENABLE");
    this.#registers.set("IRQ_ENABLE", mask);
    if (this.#registers.get("IRQ_STATUS") & added) this.#host.raise();
    this.#lowerIfQuiet();
  }

  #raise(mask: number): void {
    this.#registers.set("IRQ_STATUS", this.#registers.get("IRQ_STATUS") | mask);
    if (this.#registers.get("IRQ_ENABLE") & mask) this.#host.raise();
  }

  #lowerIfQuiet(): void {
    if ((this.#registers.get("IRQ_STATUS") & this.#registers.get("IRQ_ENABLE")) === 0) this.#host.lower();
  }
}
