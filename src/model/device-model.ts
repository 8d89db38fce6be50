/** What a device model is to the vfio-user server: a configuration space, BARs, and a few handlers. */
import type { ConfigSpaceModel } from "./config-space-model.ts";
import type { DmaTable } from "./dma.ts";

export interface DeviceModel {
  readonly config: ConfigSpaceModel;
  /** BAR 0 to 5, undefined where there is none. */
  readonly bars: readonly (BarModel | undefined)[];
  readonly msiVectors: number;
  /**
   * A client comes: its memory BARs are of files that no client before it had a descriptor of. Throws SystemError: it can't
   * be taken.
   */
  admit(): void;
  /** Back to the power-on state, but for configuration space, which the server resets. */
  reset(): void;
  /** Descriptors to wait for besides the client's messages. */
  readonly wakeups: readonly Wakeup[];
  /** When `onTime` wants to be called next, on performance.now()'s clock; infinity for never. */
  nextTimeMs(): number;
  onTime(): void;
}

export interface Wakeup {
  readonly fd: number;
  onReadable(): void;
}

/** Registers: handlers that get aligned 32-bit accesses. Memory: the client may map it. */
export type BarModel = RegisterBar | MemoryBar;

export interface RegisterBar {
  readonly kind: "registers";
  readonly sizeBytes: number;
  read32(offset: number): number;
  write32(offset: number, value: number): void;
}

export interface MemoryBar {
  readonly kind: "memory";
  readonly sizeBytes: number;
  /** The file that backs it, of which the client gets a descriptor, and its mapping here. */
  readonly fd: number;
  bytes(offset: number, sizeBytes: number): Uint8Array;
}

/** What the server is to a device model. */
export interface Host {
  readonly dma: DmaTable;
  /** Raises vector 0 by MSI, or INTA# (level, until `lower`) while MSI is off. */
  raise(): void;
  /** Lets go of INTA#. */
  lower(): void;
}
