/** The interrupts that a client has armed, and how the device raises them. */

import { SystemError } from "../os/errno.ts";
import type { Fd } from "../os/fd.ts";
import { isEventFd, signalPeer } from "../os/peer-eventfd.ts";
import { IrqIndex, IrqInfoFlag, IrqSet } from "../protocol/vfio.ts";
import type { ConfigSpaceModel } from "./config-space-model.ts";

/** Signalled when a vector is raised. */
export interface Signal extends Disposable {
  signal(): void;
}

/** An invalid SET_IRQS. */
export class IrqError extends Error {}

export class Interrupts {
  readonly #counts: readonly number[];
  readonly #armed: (Signal | undefined)[][];
  readonly #config: ConfigSpaceModel;
  #asserted = false;
  #masked = false;

  constructor(config: ConfigSpaceModel, hasPin: boolean, msiVectors: number, msixVectors = 0) {
    this.#config = config;
    this.#counts = [hasPin ? 1 : 0, msiVectors, msixVectors, 1, 1];
    this.#armed = this.#counts.map(() => []);
  }

  info(index: number): { flags: number; count: number } {
    const count = this.#counts[index] ?? 0;
    const intx =
      index === IrqIndex.INTX ? IrqInfoFlag.MASKABLE | IrqInfoFlag.AUTOMASKED : IrqInfoFlag.NORESIZE;
    return { flags: count ? IrqInfoFlag.EVENTFD | intx : 0, count };
  }

  /** Arms an index's vectors from 0 on. They are disposed of when it is disarmed. */
  arm(index: number, signals: readonly Signal[]): void {
    this.#disarm(index);
    this.#armed[index]!.push(...signals);
    if (index === IrqIndex.INTX) this.#unmask();
  }

  #disarm(index: number): void {
    for (const signal of this.#armed[index]!.splice(0)) signal?.[Symbol.dispose]();
  }

  /**
   * Carries out SET_IRQS and removes the descriptors that it keeps from `fds`. Accepts only eventfds:
   * signalling one never waits for the client, unlike a write to a pipe or a socket. Throws IrqError.
   */
  set(flags: number, index: number, start: number, count: number, data: Uint8Array, fds: Fd[]): void {
    const armed = this.#armed[index];
    const total = this.#counts[index] ?? 0;
    if (!armed || start + count > total)
      throw new IrqError(`vectors ${start} to ${start + count} of ${total}`);
    const selected = Array.from({ length: count }, (_, i) => start + i);
    switch (flags) {
      case IrqSet.DATA_EVENTFD | IrqSet.ACTION_TRIGGER:
        // QEMU sends none for vectors that have no handler in the guest.
        if (fds.length !== count && fds.length > 0)
          throw new IrqError(`${fds.length} descriptors for ${count} vectors`);
        if (!fds.every(isEventFd)) throw new IrqError("a descriptor that is not an eventfd");
        for (const vector of selected) {
          armed[vector]?.[Symbol.dispose]();
          const fd = fds.shift();
          armed[vector] = fd && new PeerSignal(fd);
        }
        if (index === IrqIndex.INTX) this.#unmask();
        return;
      case IrqSet.DATA_NONE | IrqSet.ACTION_TRIGGER:
        if (count === 0) this.#disarm(index);
        for (const vector of selected) armed[vector]?.signal();
        return;
      case IrqSet.DATA_BOOL | IrqSet.ACTION_TRIGGER:
        if (data.length < count) throw new IrqError(`${data.length} booleans for ${count} vectors`);
        for (const vector of selected) if (data[vector - start]) armed[vector]?.signal();
        return;
      case IrqSet.DATA_NONE | IrqSet.ACTION_MASK:
        if (index === IrqIndex.INTX) {
          this.#masked = true;
          return;
        }
        break;
      case IrqSet.DATA_NONE | IrqSet.ACTION_UNMASK:
        if (index === IrqIndex.INTX) return this.#unmask();
    }
    throw new IrqError(`flags 0x${flags.toString(16)} for interrupt index ${index}`);
  }

  raise(vector = 0): void {
    const [msi, msix] = [this.#armed[IrqIndex.MSI]!, this.#armed[IrqIndex.MSIX]!];
    if (msi.length > 0 || msix.length > 0) {
      // Software may enable fewer vectors of MSI than there are: those share the first one.
      const armed = msix.length > 0 ? msix[vector] : (msi[vector] ?? msi[0]);
      // It is a memory write by the device: PCIe 6.0, section 7.5.1.1.3, Bus Master Enable.
      if (this.#config.busMaster) armed?.signal();
      return;
    }
    this.#asserted = true;
    this.#config.setInterruptStatus(true);
    this.deliverPin();
  }

  lower(): void {
    this.#asserted = false;
    this.#config.setInterruptStatus(false);
  }

  #unmask(): void {
    this.#masked = false;
    this.deliverPin();
  }

  /**
   * Delivers INTA# if it is asserted, armed, unmasked and not disabled. Must be called whenever that may have
   * changed. A level interrupt masks itself on delivery, like VFIO's INTx, until the client unmasks it.
   */
  deliverPin(): void {
    const pin = this.#armed[IrqIndex.INTX]![0];
    if (!this.#asserted || !pin || this.#masked || this.#config.intxDisabled) return;
    this.#masked = true;
    pin.signal();
  }

  /** Disarms everything, for when the client is gone. */
  clear(): void {
    for (const index of this.#armed.keys()) this.#disarm(index);
    this.#asserted = false;
    this.#masked = false;
  }
}

/** A client's eventfd. */
class PeerSignal implements Signal {
  readonly #eventFd: Fd;

  constructor(eventFd: Fd) {
    this.#eventFd = eventFd;
  }

  /** Ignores a failure: only the client that sent the eventfd loses the signal. */
  signal(): void {
    try {
      signalPeer(this.#eventFd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#eventFd[Symbol.dispose]();
  }
}
