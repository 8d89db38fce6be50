/** What a model is described by, and what its handlers see. */
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
   * Vectors of MSI, a power of two up to 32, 1 if absent; and of MSI-X, up to 2048, whose table takes the last BAR that is free.
   * INTx is there as well.
   */
  readonly interrupts?: { readonly msi?: number; readonly msix?: number };
  /** Names of the options of a spec, `model:NAME?OPTION=VALUE`, which `create` is given. */
  readonly options?: readonly string[];
  /** Makes the device at power-on, and anew at each reset: state in its variables does not outlive one. */
  create(device: ModelDevice): ModelHandlers;
}

/** Registers of a table; those of several BARs have different names. */
export interface RegistersDescription {
  readonly registers: RegisterTable;
  /** Default: what the table needs, at least 4 KiB. */
  readonly sizeBytes?: number;
}

/** Memory, which clients map. */
export interface MemoryDescription {
  readonly memoryBytes: number;
}

/** By register's name; a register without handlers keeps what its mode lets software write. */
export type ModelHandlers = Readonly<Record<string, RegisterHandlers>>;

export interface RegisterHandlers {
  /** Instead of the register's value. */
  read?(): number;
  /** Instead of storing it. */
  write?(value: number): void;
}

/** The device as its handlers see it. */
export interface ModelDevice {
  readonly options: URLSearchParams;
  /** A register's value, as a read without a handler gives it. Throws RangeError: no such register. */
  get(register: string): number;
  set(register: string, value: number): void;
  /** Raises a vector, 0 if absent: MSI-X or MSI where one is enabled, else INTA#, which stays asserted until `lower`. */
  raise(vector?: number): void;
  lower(): void;
  /** Calls `act` once, so many milliseconds later; what it returns cancels that. A reset cancels it, too. */
  after(delayMs: number, act: () => void): () => void;
  /** Copies from the host's memory. Undefined if an address is not mapped, or bus mastering is off. */
  readMemory(address: number, sizeBytes: number): Uint8Array<ArrayBuffer> | undefined;
  /** Copies to it; false if an address is not mapped for writing, or bus mastering is off. */
  writeMemory(address: number, bytes: Uint8Array): boolean;
  /** The bytes of a memory BAR. */
  memory(bar: number): Uint8Array;
  log(line: string): void;
}
