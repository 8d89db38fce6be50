/** The description of a model, and the device as its handlers see it. */
import type { Register, RegisterTable, ValueOf } from "../registers/table.ts";
import type { ExpressType } from "./config-space-model.ts";
import type { ModelSetup, PreparedModel } from "./definition.ts";
import type { FaultKinds, Strikes } from "./fault-injection.ts";
import type { DmaRange } from "./shared-mapping.ts";

/** A BAR: registers, memory, or none. */
export type BarDescription = RegistersDescription | MemoryDescription | undefined;
/** BAR 0 to 5. */
export type BarDescriptions = readonly BarDescription[];

/** A device in register tables and handlers, for `defineModel`. `Data` is what `prepare` gives; structured clone must accept it. */
export interface ModelDescription<Bars extends BarDescriptions = BarDescriptions, Data = undefined> {
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
  readonly bars: Bars;
  /**
   * Numbers of vectors. MSI: a power of two up to 32; 1 if absent. MSI-X: up to 2048; none if absent. Its table takes the last
   * free BAR. INTx is there unless it is false.
   */
  readonly interrupts?: { readonly intx?: boolean; readonly msi?: number; readonly msix?: number };
  readonly capabilities?: CapabilitiesDescription;
  /** Names of the options that a spec may have, `model:NAME?OPTION=VALUE`. */
  readonly options?: readonly string[];
  /**
   * Faults that the option `fault` can inject besides those of every model, and the event that `device.strike` counts. Without
   * them each interrupt is an event.
   */
  readonly faults?: FaultKinds<string>;
  /** Runs first, in the main thread, which alone can start other threads. */
  prepare?(setup: ModelSetup): Promise<PreparedModel<Data>>;
  /** Gives the handlers: `create`, or `load`, which may import what creating them takes while `prepare` runs. */
  readonly create?: CreateHandlers<Bars, Data>;
  load?(): Promise<CreateHandlers<Bars, Data>>;
}

/**
 * Runs at power-on and again at each reset, so that state in its variables does not survive a reset; `keep` does. `ask` sends a message to
 * `onAsk` of what `prepare` gave.
 */
export type CreateHandlers<Bars extends BarDescriptions = BarDescriptions, Data = undefined> = (
  device: ModelDevice<TableOf<Bars>>,
  data: Data,
  ask: (message: unknown, transfer?: MessagePort[]) => void,
) => ModelHandlers<TableOf<Bars>>;

/** The registers of all BARs. */
export type TableOf<Bars extends BarDescriptions> = Together<
  Bars[number] extends infer Bar ? (Bar extends RegistersDescription<infer T> ? T : never) : never
>;

/** What all members of a union have together. */
type Together<T> = (T extends unknown ? (member: T) => void : never) extends (member: infer All) => void
  ? All extends RegisterTable
    ? All
    : RegisterTable
  : never;

/** The registers of a table. No two BARs have a register of the same name. */
export interface RegistersDescription<T extends RegisterTable = RegisterTable> {
  readonly registers: T;
  /** Default: the size that the table needs, at least 4 KiB of memory or 4 bytes of I/O. */
  readonly sizeBytes?: number;
  /** In I/O space, not memory. Up to 256 bytes. */
  readonly io?: boolean;
  /** Of a BAR in memory, as in MemoryDescription. */
  readonly addressBits?: 32 | 64;
  readonly prefetchable?: boolean;
}

/** Memory that clients map. */
export interface MemoryDescription {
  readonly memoryBytes: number;
  /** Default: 32. One of 64 takes the next BAR, too, which the description leaves undefined. */
  readonly addressBits?: 32 | 64;
  readonly prefetchable?: boolean;
}

/** Which capabilities configuration space has besides power management, MSI and AER. */
export interface CapabilitiesDescription {
  /** PCI Express as an endpoint with a link, or integrated into the root complex, which is the default. */
  readonly express?: ExpressType;
  /** Default: true. Without it, a guest can't reset the device. */
  readonly functionLevelReset?: boolean;
  /** Device Serial Number. */
  readonly serialNumber?: bigint;
  /** Vendor-specific capabilities: the bytes behind each one's length byte; at most 64 bytes in all, with 3 more for each. */
  readonly vendorSpecific?: readonly Uint8Array[];
}

/** Handlers by register name. A register without handlers stores what its mode lets software write. */
export type ModelHandlers<T extends RegisterTable = RegisterTable> = {
  readonly [N in keyof T]?: RegisterHandlers<T[N]>;
};

/** What a register's accesses do. `index` is the register's place in its array; 0 if it is not one of an array. */
export interface RegisterHandlers<R extends Register = Register> {
  /** Gives the value to read, instead of the stored one. */
  read?(index: number): number | ValueOf<R>;
  /** Takes the value written, which is not stored. */
  write?(value: ValueOf<R>, index: number): void;
}

/** The device as its handlers see it. */
export interface ModelDevice<T extends RegisterTable = RegisterTable> {
  readonly options: URLSearchParams;
  /**
   * What `make` returned at power-on, one thing for each device. A reset leaves it alone, like the contents of a disk; so a
   * served model's next client finds it, too.
   */
  keep<K>(make: () => K): K;
  /** A register's value, as a read without a handler gives it. Throws RangeError: no such register. */
  get<N extends keyof T & string>(register: N, index?: number): ValueOf<T[N]>;
  /** Throws RangeError: no such register, or the value does not fit it. */
  set<N extends keyof T & string>(register: N, value: number | ValueOf<T[N]>, index?: number): void;
  /**
   * Raises a vector, 0 if absent, by MSI-X or MSI. If neither is enabled, asserts INTA# until `lower`. Throws RangeError: neither
   * has such a vector.
   */
  raise(vector?: number): void;
  lower(): void;
  /** Calls `act` once after the delay. The function that it returns cancels that, and so does a reset. */
  after(delayMs: number, act: () => void): () => void;
  /** Calls `act` whenever a descriptor is readable, until a reset. */
  onReadable(fd: number, act: () => void): void;
  /** Calls `act` before the next reset, or at the end. */
  onReset(act: () => void): void;
  /**
   * Resets the device without its configuration space, as a reset register does. Further handlers are new ones; timers and
   * descriptors that the old ones ask for afterwards have no effect. Throws RangeError in `create` and in what `onReset` calls.
   */
  reset(): void;
  /** Whether the device may access the host's memory. */
  readonly busMaster: boolean;
  /** Copies from the host's memory. Undefined if an address is not mapped, or bus mastering is off. Throws RangeError above 256 MiB. */
  readMemory(address: number, sizeBytes: number): Uint8Array<ArrayBuffer> | undefined;
  /** Copies to the host's memory, after all earlier copies: the host sees them in this order. False if an address is not mapped for writing, or bus mastering is off. */
  writeMemory(address: number, bytes: Uint8Array): boolean;
  /**
   * The host's memory itself, in pieces that stay mapped here until each is released. Undefined if an address is not mapped, or
   * only reached by messages, or bus mastering is off.
   */
  holdMemory(address: number, sizeBytes: number, write: boolean): DmaRange[] | undefined;
  /** Logs an access to an address that is not mapped, as `readMemory` and `writeMemory` do. */
  logUnsupportedRequest(): void;
  /** The bytes of a memory BAR. Not to be used after a reset, since each client gets memory of its own. Throws RangeError above 4 GiB. */
  memory(bar: number): Uint8Array;
  /** A memory BAR's memory, as by `holdMemory`. Undefined if not all of it is inside. */
  holdBar(bar: number, offset: number, sizeBytes: number): DmaRange[] | undefined;
  /**
   * Counts an event of `faults`, carries out the faults of every model that strike it, except drop-interrupt, and returns all that
   * do, by name, with the milliseconds for which each does.
   */
  strike(): Strikes;
  /** How long an injected fault delays the next event; 0 if asked again. */
  takeDelayMs(): number;
  log(line: string): void;
}
