/**
 * The interface between drivers and backends, which reach the device. A driver sees only this interface; a
 * backend knows neither frames nor the meaning of registers.
 */
import type { ConfigSpace } from "../pci/config-space.ts";
import { type Remedy, type RemedyOptions, remediesOf } from "../remedy/remedy.ts";

export type { ConfigSpace };

/** Options for opening a device. Functions of this machine's bus need none of them. */
export interface OpenOptions {
  /** Time limit in milliseconds for each answer of a server or a model; 5000 if absent. */
  readonly timeoutMs?: number;
  /**
   * Writes to a server's BARs do not wait for its answer. They take half the time, but a refused write is
   * lost silently. If absent, or if the server gets at memory by messages, each write waits for its answer, and a refused one
   * throws DeviceError.
   */
  readonly postWrites?: boolean;
  /**
   * False keeps the memory of allocateDma from a server, which then reads and writes it by messages, as one that can't map it
   * does. Slow; it tests servers. Default: true.
   */
  readonly shareMemory?: boolean;
  /**
   * "physical" gives a function of this machine's bus that no IOMMU guards DMA memory by its physical address: through
   * uio_pci_generic, or VFIO in noiommu mode. It can then write to any memory of the machine, so it has to be asked for, here or
   * by `?dma=physical` after the address.
   */
  readonly dma?: "physical" | undefined;
  /**
   * The UUID that a virtual function needs if its physical one is bound to vfio-pci: the one with which that was opened, which so
   * sets it. Here, or by `?vf_token=UUID` after the address. Throws DeviceError if it is another, or is not needed.
   */
  readonly vfToken?: string | undefined;
}

/**
 * An open PCI function. Dispose turns bus mastering off and releases all that is still open. If the kernel asks a function that
 * VFIO opened back, for its removal or another driver, the event loop closes it, unless "req" is enabled; each further
 * call then throws DeviceError. What DmaMemory.bytes gave stays readable until dispose.
 */
export interface PciDevice extends Disposable {
  /** The spec passed to openDevice, for messages. */
  readonly spec: string;
  /** The backend, and why not a better one, e.g. "VFIO, IOMMU group 12". */
  readonly reachedBy: string;
  /** Whether allocateDma can work at all. */
  readonly hasDma: boolean;
  readonly config: ConfigSpace;
  /** BAR 0 to 5; absent ones have size 0. */
  readonly bars: readonly Region[];
  /** The number of vectors of a kind; 0 if it has none. */
  interruptCount(kind: InterruptKind): number;
  /**
   * Enables `count` vectors from 0 on. They close with the device, or when their kind is enabled again; the
   * caller may dispose of them earlier. Throws DeviceError, leaving the new ones disabled.
   */
  enableInterrupts(kind: InterruptKind, count: number): Interrupt[];
  disableInterrupts(kind: InterruptKind): void;
  /** Unmasks INTx. Each INTx masks itself on delivery, since it is level-triggered. Throws DeviceError. */
  unmaskIntx(): void;
  /** Allocates zeroed memory that the device can access, contiguous in IOVA space. Throws DeviceError. */
  allocateDma(sizeBytes: number, options?: DmaOptions): DmaMemory;
  /** This thread's accesses to memory and BARs before the fence complete before those after it. */
  fence(): void;
  /** Resets to the power-on state. Interrupts and DMA mappings on this side stay. Throws DeviceError. */
  reset(): void;
}

/**
 * INTx, MSI and MSI-X are the function's own. "err" fires when the function reports an uncorrectable error,
 * "req" when the kernel wants it back. Dispose of the device then, because its removal waits for that: without "req" enabled it
 * would have been closed by itself.
 */
export type InterruptKind = "intx" | "msi" | "msix" | "err" | "req";

/**
 * An enabled vector, which counts its interrupts. Once a count is returned, all that the device wrote to
 * memory before the interrupt is visible.
 */
export interface Interrupt extends Disposable {
  /** Takes the count without waiting. */
  take(): number;
  /** Blocks the thread until an interrupt arrives. Returns the count, or 0 on timeout. */
  wait(timeoutMs: number): number;
  /** Waits on the event loop. From its first call on, `take` and `wait` see nothing. One waiter at a time. */
  waitAsync(timeoutMs: number): Promise<number>;
}

/**
 * A BAR. Each access happens once, in order, with exactly its width, naturally aligned. Writes are posted, as
 * on PCI: a later read sees them done. Throws RangeError outside the region, DeviceError if the device can't
 * be reached or a server refuses the access (for writes see OpenOptions.postWrites).
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

/** What DMA memory must be like. */
export interface DmaOptions {
  /** The device can only address memory below 2^addressBits; 64 if absent. */
  readonly addressBits?: number;
  /** The only page size to use; if absent, the largest suitable size that is available. */
  readonly pageBytes?: number;
}

/**
 * Memory shared with a device. Dispose unmaps it on both sides: only call it when the device no longer uses
 * the memory. A vfio-user server that does not map the memory reads and writes it by messages. They are
 * served whenever the event loop turns, a request to the device waits for its reply, or an interrupt is
 * awaited, but not while a program does nothing but poll the memory.
 */
export interface DmaMemory extends Disposable {
  /** Its address on the device's side; below 2^53. */
  readonly iova: number;
  readonly sizeBytes: number;
  /** The size of its pages. */
  readonly pageBytes: number;
  /** Single immediate accesses, for words that the device accesses at the same time. Aligned offsets. */
  read32(offset: number): number;
  write32(offset: number, value: number): void;
  write64(offset: number, value: bigint): void;
  /** A view of a part, for data. Must not be used after dispose. */
  bytes(offset?: number, sizeBytes?: number): Uint8Array<ArrayBuffer>;
  /** Takes the memory from the device. What `bytes` gave can be used until the result is disposed of, even if the device is not open any more. */
  detach(): Disposable;
}

/** A device can't be opened or used: what was tried, on which object, why it failed, and what to do. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  /** The device does not respond: it reads as all ones. */
  readonly silent: boolean;
  /** What to do about it. */
  readonly remedies: readonly Remedy[];

  constructor(message: string, options: RemedyOptions & { readonly silent?: boolean } = {}) {
    super(message, options);
    this.remedies = options.remedies ?? remediesOf(options.cause);
    this.silent = options.silent ?? false;
  }
}
