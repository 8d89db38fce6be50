/**
 * The seam between drivers and the ways to reach a device. A driver sees only this; a backend sees no frame and no
 * register's meaning.
 */
import type { ConfigSpace } from "../pci/config-space.ts";
import { type Remedy, type RemedyOptions, remediesOf } from "../remedy/remedy.ts";

export type { ConfigSpace };

/** What a program asks of a device when it opens it. A device of this machine's bus needs none of it. */
export interface OpenOptions {
  /** Milliseconds that a server, or a model, may take for each answer; 5000 where absent. */
  readonly timeoutMs?: number;
  /**
   * Writes to a server's BARs do not wait for its answer: they take half the time, and one that the server refuses is
   * lost without a word. Absent: each is answered, and one that is refused throws DeviceError.
   */
  readonly postWrites?: boolean;
}

/** One PCI function, opened. Dispose turns bus mastering off and gives back whatever it still holds. */
export interface PciDevice extends Disposable {
  /** As openDevice took it, for messages. */
  readonly spec: string;
  /** By which way it was reached and why by no better one, e.g. "VFIO, IOMMU group 12". */
  readonly reachedBy: string;
  /** Whether allocateDma can give anything at all. */
  readonly hasDma: boolean;
  readonly config: ConfigSpace;
  /** BAR 0 to 5; absent ones have size 0. */
  readonly bars: readonly Region[];
  /** How many vectors of a kind there are; 0 where it has none. */
  interruptCount(kind: InterruptKind): number;
  /**
   * Enables `count` vectors from 0 on. They are closed with the device, or when their kind is enabled anew; the caller may
   * dispose of them earlier. Throws DeviceError; the new ones are not enabled then.
   */
  enableInterrupts(kind: InterruptKind, count: number): Interrupt[];
  disableInterrupts(kind: InterruptKind): void;
  /** Lets the next INTx through: being a level, it is masked each time it strikes. Throws DeviceError. */
  unmaskIntx(): void;
  /** Zeroed memory that the device reaches too, in one piece in its address space. Throws DeviceError. */
  allocateDma(sizeBytes: number, options?: DmaOptions): DmaMemory;
  /** Accesses of this thread to memory and BARs before it are done before those after it. */
  fence(): void;
  /** Back to the power-on state; interrupts and DMA mappings of this side stay. Throws DeviceError. */
  reset(): void;
}

/**
 * INTx, MSI and MSI-X are the function's own. "err" strikes when it reports an uncorrectable error, "req" when the kernel
 * wants it back: dispose of the device then, or whoever removes it waits.
 */
export type InterruptKind = "intx" | "msi" | "msix" | "err" | "req";

/**
 * An enabled vector, which counts its interrupts. What the device wrote to memory before an interrupt is there when its
 * count is given.
 */
export interface Interrupt extends Disposable {
  /** Takes the count without waiting. */
  take(): number;
  /** Blocks the thread until one comes; returns the count, or 0 when the time is over. */
  wait(timeoutMs: number): number;
  /** The same on the event loop. From its first call on the other two see nothing. One waiter at a time. */
  waitAsync(timeoutMs: number): Promise<number>;
}

/**
 * A BAR. Accesses have the width they say and happen once, in order, naturally aligned. Writes are posted, as PCI has
 * it: a read after them sees them done. Throws RangeError outside the region, DeviceError where the device can't be
 * reached, or where a server refuses the access (for writes see OpenOptions.postWrites).
 */
export interface Region {
  readonly index: number;
  readonly sizeBytes: number;
  /** Whether accesses to this whole range go straight to memory, without a message or a system call. */
  isMapped(offset: number, sizeBytes: number): boolean;
  read8(offset: number): number;
  read16(offset: number): number;
  read32(offset: number): number;
  read64(offset: number): bigint;
  write8(offset: number, value: number): void;
  write16(offset: number, value: number): void;
  write32(offset: number, value: number): void;
  write64(offset: number, value: bigint): void;
  /** Copies `from` to the region in aligned words; `offset` is a multiple of 8. The last word is padded with zeros. */
  copyIn(offset: number, from: Uint8Array): void;
  /** Fills `to` from the region in aligned words; `offset` is a multiple of 8. */
  copyOut(offset: number, to: Uint8Array): void;
}

export interface DmaOptions {
  /** The device reaches addresses below 2^addressBits only; 64 where absent. */
  readonly addressBits?: number;
  /** Pages of this size or none; where absent the largest that there are and that suit. */
  readonly pageBytes?: number;
}

/**
 * Memory shared with a device. Dispose unmaps it on both sides: only when the device no longer uses it. A vfio-user
 * server that does not map it reads and writes it by messages; they are carried out whenever the event loop turns, a
 * request is made to the device or an interrupt is waited for, but not while a program polls the memory and does nothing else.
 */
export interface DmaMemory extends Disposable {
  /** Its address as the device sees it; below 2^53. */
  readonly iova: number;
  readonly sizeBytes: number;
  /** Of the pages it got. */
  readonly pageBytes: number;
  /** Single accesses, made when they are called, for what the device reads and writes meanwhile. Aligned offsets. */
  read32(offset: number): number;
  write32(offset: number, value: number): void;
  write64(offset: number, value: bigint): void;
  /** A view of a part of it, for data. Not to be used after dispose. */
  bytes(offset?: number, sizeBytes?: number): Uint8Array<ArrayBuffer>;
}

/** A device that can't be opened or used: what was tried, on what, and why. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  /** The device does not answer: what is read of it is all ones. */
  readonly silent: boolean;
  /** What to do about it. */
  readonly remedies: readonly Remedy[];

  constructor(message: string, options: RemedyOptions & { readonly silent?: boolean } = {}) {
    super(message, options);
    this.remedies = options.remedies ?? remediesOf(options.cause);
    this.silent = options.silent ?? false;
  }
}
