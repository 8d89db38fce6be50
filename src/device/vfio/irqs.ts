/** Interrupts of a VFIO device, as eventfds. */
import { constants } from "node:os";
import { SystemError } from "../../os/errno.ts";
import { EventFd } from "../../os/eventfd.ts";
import { type Fd, ioctl } from "../../os/fd.ts";
import { IrqIndex, IrqSet } from "../../protocol/vfio.ts";
import type { InterruptKind } from "../device.ts";
import { Vfio } from "./abi.ts";

const indexOf: Readonly<Record<InterruptKind, number>> = {
  intx: IrqIndex.INTX,
  msi: IrqIndex.MSI,
  msix: IrqIndex.MSIX,
  err: IrqIndex.ERR,
  req: IrqIndex.REQ,
};

export class Irqs {
  readonly #device: Fd;
  readonly #count: number;
  readonly #enabled = new Set<InterruptKind>();
  /** The last ones of each kind, enabled or not: the caller may still read them. */
  readonly #eventFds = new Map<InterruptKind, readonly EventFd[]>();
  #requests: EventFd | undefined;

  /** `count` is the number of interrupt indices that the device has. */
  constructor(device: Fd, count: number) {
    this.#device = device;
    this.#count = count;
  }

  /** The number of vectors: `struct vfio_irq_info`, u32 argsz, flags, index, count. Throws SystemError. */
  count(kind: InterruptKind): number {
    if (indexOf[kind] >= this.#count) return 0;
    const info = new DataView(new ArrayBuffer(16));
    info.setUint32(0, 16, true);
    info.setUint32(8, indexOf[kind], true);
    try {
      ioctl(this.#device, Vfio.DEVICE_GET_IRQ_INFO, info, `read the ${kind} interrupt's information`);
    } catch (error) {
      // The kernel's answer for the error interrupt of a function without PCI Express.
      if (kind === "err" && error instanceof SystemError && error.code === "EINVAL") return 0;
      throw error;
    }
    return info.getUint32(12, true);
  }

  /** `requests` receives the req interrupt while it is not enabled. Throws SystemError. */
  watchRequests(requests: EventFd): void {
    this.#set("req", IrqSet.DATA_EVENTFD | IrqSet.ACTION_TRIGGER, 1, [requests.fd.number]);
    this.#requests = requests;
  }

  /** Throws SystemError. */
  enable(kind: InterruptKind, count: number): EventFd[] {
    const eventFds: EventFd[] = [];
    try {
      for (let i = 0; i < count; i++) eventFds.push(new EventFd());
      const fds = eventFds.map(({ fd }) => fd.number);
      this.#set(kind, IrqSet.DATA_EVENTFD | IrqSet.ACTION_TRIGGER, count, fds);
    } catch (error) {
      for (const eventFd of eventFds) eventFd[Symbol.dispose]();
      throw error;
    }
    // The kernel repeats a request only after 10 s (vfio_unregister_group_dev).
    if (kind === "req" && this.#requests?.take()) eventFds[0]!.signal();
    this.#close(kind);
    this.#eventFds.set(kind, eventFds);
    this.#enabled.add(kind);
    return eventFds;
  }

  /** Throws SystemError. */
  disable(kind: InterruptKind): void {
    if (!this.#enabled.delete(kind)) return;
    // These two accept no count of 0: -1 removes their one eventfd.
    if (kind === "req" && this.#requests) {
      this.watchRequests(this.#requests);
      if (this.#isRequested()) this.#requests.signal();
    } else if (kind === "err" || kind === "req")
      this.#set(kind, IrqSet.DATA_EVENTFD | IrqSet.ACTION_TRIGGER, 1, [-1]);
    else this.#set(kind, IrqSet.DATA_NONE | IrqSet.ACTION_TRIGGER, 0, []);
  }

  /** Whether the program was told of a request, and has not taken it. */
  #isRequested(): boolean {
    try {
      return this.#eventFds.get("req")?.some((eventFd) => eventFd.take() > 0) === true;
    } catch {
      return false; // the program has closed it
    }
  }

  #close(kind: InterruptKind, why?: () => Error): void {
    for (const eventFd of this.#eventFds.get(kind) ?? []) eventFd.close(why);
  }

  /**
   * Disables and closes all; a later use of one throws what `why` returns. Throws SystemError if the device is gone, but always
   * closes them.
   */
  close(why: () => Error): void {
    try {
      for (const kind of [...this.#enabled]) this.disable(kind);
    } finally {
      for (const kind of this.#eventFds.keys()) this.#close(kind, why);
    }
  }

  /** Throws SystemError. */
  unmaskIntx(): void {
    this.#set("intx", IrqSet.DATA_NONE | IrqSet.ACTION_UNMASK, 1, []);
  }

  /** `struct vfio_irq_set`: u32 argsz, flags, index, start, count; i32 data. */
  #set(kind: InterruptKind, flags: number, count: number, fds: readonly number[]): void {
    const set = new DataView(new ArrayBuffer(20 + fds.length * 4));
    set.setUint32(0, set.byteLength, true);
    set.setUint32(4, flags, true);
    set.setUint32(8, indexOf[kind], true);
    set.setUint32(16, count, true);
    for (const [i, fd] of fds.entries()) set.setInt32(20 + i * 4, fd, true);
    const what = `set ${count} ${kind} interrupts`;
    // Positive: none is enabled; this many are possible (vfio_msi_enable in the kernel).
    const possible = ioctl(this.#device, Vfio.DEVICE_SET_IRQS, set, what);
    if (possible > 0)
      throw new SystemError(`${what}, this machine supports at most ${possible}`, constants.errno.ENOSPC);
  }
}
