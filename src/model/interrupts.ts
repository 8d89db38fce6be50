/** The interrupts that a client has armed, and how the device raises them. */

import { IrqIndex, IrqInfoFlag, IrqSet } from "../device/vfio-user/protocol.ts";
import { EventFd } from "../os/eventfd.ts";
import type { Fd } from "../os/fd.ts";
import type { ConfigSpaceModel } from "./config-space.ts";

/** A SET_IRQS that makes no sense. */
export class IrqError extends Error {}

export class Interrupts {
  readonly #counts: readonly number[];
  readonly #eventFds: (EventFd | undefined)[][];
  readonly #config: ConfigSpaceModel;
  #asserted = false;
  #masked = false;

  constructor(config: ConfigSpaceModel, hasPin: boolean, msiVectors: number) {
    this.#config = config;
    this.#counts = [hasPin ? 1 : 0, msiVectors, 0, 1, 1];
    this.#eventFds = this.#counts.map(() => []);
  }

  info(index: number): { flags: number; count: number } {
    const count = this.#counts[index] ?? 0;
    const intx =
      index === IrqIndex.INTX ? IrqInfoFlag.MASKABLE | IrqInfoFlag.AUTOMASKED : IrqInfoFlag.NORESIZE;
    return { flags: count ? IrqInfoFlag.EVENTFD | intx : 0, count };
  }

  /** Carries out SET_IRQS; takes over the descriptors that it keeps and closes the others. Throws IrqError. */
  set(flags: number, index: number, start: number, count: number, data: Uint8Array, fds: Fd[]): void {
    const total = this.#counts[index] ?? 0;
    if (start + count > total) throw new IrqError(`vectors ${start} to ${start + count} of ${total}`);
    const armed = this.#eventFds[index]!;
    const selected = Array.from({ length: count }, (_, i) => start + i);
    if (flags & IrqSet.ACTION_TRIGGER) {
      if (flags & IrqSet.DATA_EVENTFD) {
        if (fds.length !== count) throw new IrqError(`${fds.length} descriptors for ${count} vectors`);
        for (const vector of selected) {
          armed[vector]?.[Symbol.dispose]();
          armed[vector] = new EventFd(fds.shift()!);
        }
        if (index === IrqIndex.INTX) this.#masked = false;
      } else if (flags & IrqSet.DATA_NONE && count === 0) {
        for (const eventFd of armed.splice(0)) eventFd?.[Symbol.dispose]();
      } else {
        if (flags & IrqSet.DATA_BOOL && data.length < count)
          throw new IrqError(`${data.length} booleans for ${count} vectors`);
        for (const vector of selected)
          if (flags & IrqSet.DATA_NONE || data[vector - start]) armed[vector]?.signal();
      }
    } else if (index === IrqIndex.INTX && flags & IrqSet.DATA_NONE) {
      this.#masked = (flags & IrqSet.ACTION_MASK) !== 0;
      if (!this.#masked && this.#asserted) this.#signalPin();
    } else {
      throw new IrqError(`flags 0x${flags.toString(16)} for interrupt index ${index}`);
    }
  }

  raise(): void {
    const vector = this.#eventFds[IrqIndex.MSI]![0];
    if (vector) return vector.signal();
    this.#asserted = true;
    this.#config.setInterruptStatus(true);
    this.#signalPin();
  }

  lower(): void {
    this.#asserted = false;
    this.#config.setInterruptStatus(false);
  }

  /** A level interrupt masks itself when it is delivered, as VFIO's INTx does, until the client unmasks it. */
  #signalPin(): void {
    const pin = this.#eventFds[IrqIndex.INTX]![0];
    if (!pin || this.#masked || this.#config.intxDisabled) return;
    this.#masked = true;
    pin.signal();
  }

  /** Disarms everything, as when the client is gone. */
  clear(): void {
    for (const armed of this.#eventFds) for (const eventFd of armed.splice(0)) eventFd?.[Symbol.dispose]();
    this.#asserted = false;
    this.#masked = false;
  }
}
