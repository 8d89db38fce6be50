/** The description of a model, and the device as its handlers see it. */
import type { RegisterTable } from "../registers/table.ts";

export interface ModelDescription {
  /** What the device is, for people. */
  readonly title: string;
  readonly id: {
    readonly vendor: number;
    readonly device: number;
    /** Default: the vendor and the device. */
    readonly subsystemVendor?: number;
    readonly subsystem?: number;
    /** Base class, subclass and interface, such as 0x058000. Default: 0xff0000, a device of no class. */
    readonly classCode?: number;
  };
  /** BAR 0 to 5. */
  readonly bars: readonly (RegistersDescription | MemoryDescription | undefined)[];
  /**
   * Numbers of vectors. MSI: a power of two up to 32; 1 if absent. MSI-X: up to 2048; none if absent. Its table takes the last
   * free BAR. INTx is always there.
   */
  readonly interrupts?: { readonly msi?: number; readonly msix?: number };
  /** Names of the options that a spec may have, `model:NAME?OPTION=VALUE`. */
  readonly options?: readonly string[];
  /** Runs at power-on and again at each reset, so that state in its variables does not survive a reset. */
  create(device: ModelDevice): ModelHandlers;
}

/** The registers of a table. No two BARs have a register of the same name. */
export interface RegistersDescription {
  readonly registers: RegisterTable;
  /** Default: the size that the table needs, at least 4 KiB. */
  readonly sizeBytes?: number;
}

/** Memory that clients map. */
export interface MemoryDescription {
  readonly memoryBytes: number;
  /** Default: 32. One of 64 takes the next BAR, too, which the description leaves undefined. */
  readonly addressBits?: 32 | 64;
  readonly prefetchable?: boolean;
}

/** Handlers by register name. A register without handlers stores what its mode lets software write. */
export type ModelHandlers = Readonly<Record<string, RegisterHandlers>>;

export interface RegisterHandlers {
  /** Gives the value to read, instead of the stored one. */
  read?(): number;
  /** Takes the value written, which is not stored. */
  write?(value: number): void;
}

/** The device as its handlers see it. */
export interface ModelDevice {
  readonly options: URLSearchParams;
  /** A register's value, as a read without a handler gives it. Throws RangeError: no such register. */
  get(register: string): number;
  set(register: string, value: number): void;
  /** Raises a vector, 0 if absent, by MSI-X or MSI. If neither is enabled, asserts INTA# until `lower`. */
  raise(vector?: number): void;
  lower(): void;
  /** Calls `act` once after the delay. The function that it returns cancels that, and so does a reset. */
  after(delayMs: number, act: () => void): () => void;
  /** Copies from the host's memory. Undefined if an address is not mapped, or bus mastering is off. */
  readMemory(address: number, sizeBytes: number): Uint8Array<ArrayBuffer> | undefined;
  /** Copies to the host's memory. False if an address is not mapped for writing, or bus mastering is off. */
  writeMemory(address: number, bytes: Uint8Array): boolean;
  /** The bytes of a memory BAR. */
  memory(bar: number): Uint8Array;
  log(line: string): void;
}
