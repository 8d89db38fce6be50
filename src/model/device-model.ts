/** A device model as the vfio-user server sees it: a configuration space, BARs, and a few handlers. */
import { errnoName } from "../os/errno.ts";
import type { ConfigSpaceModel } from "./config-space-model.ts";
import type { DmaTable } from "./dma.ts";

/** A device model as the vfio-user server calls it. `defineModel` makes one from register tables. */
export interface DeviceModel extends Partial<Disposable> {
  readonly config: ConfigSpaceModel;
  /** An injected fault: reads of configuration space fail. */
  readonly configFails?: boolean;
  /** BAR 0 to 5; undefined if there is none. */
  readonly bars: readonly (BarModel | undefined)[];
  readonly msiVectors: number;
  /** 0 if absent. */
  readonly msixVectors?: number;
  /**
   * Called when a client connects: backs memory BARs by files that no earlier client had a descriptor of.
   * Throws SystemError if the client can't be accepted.
   */
  admit(): void;
  /** Resets to the power-on state, except configuration space, which the server resets. */
  reset(): void;
  /** Unmaps memory of BARs that threads had which have ended, after dispose. */
  endRanges?(): void;
  /** Descriptors to poll besides the client's socket. */
  readonly wakeups: readonly Wakeup[];
  /** When to call `onTime` next, on performance.now()'s clock; infinity for never. */
  nextTimeMs(): number;
  onTime(): void;
}

/** A descriptor for which the model's thread waits. */
export interface Wakeup {
  readonly fd: number;
  onReadable(): void;
}

/** Registers: handlers that get each access. Memory: the client may map it. */
export type BarModel = RegisterBar | MemoryBar;

/** A BAR of registers, whose handlers get each access. */
export interface RegisterBar {
  readonly kind: "registers";
  readonly sizeBytes: number;
  /** In I/O space; in memory space if absent. */
  readonly io?: boolean;
  /** A client's access of any length and alignment inside the BAR. Both throw RequestError and HandlerError. */
  read(offset: number, to: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
}

/** A BAR of memory, which the client maps. */
export interface MemoryBar {
  readonly kind: "memory";
  readonly sizeBytes: number;
  /** The file that backs it; the client gets a descriptor. `bytes` is a view of its mapping here. */
  readonly fd: number;
  bytes(offset: number, sizeBytes: number): Uint8Array;
}

/** Fails one access or request with an errno; the device stays usable. */
export class RequestError extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(errnoName(errno));
    this.errno = errno;
  }
}

/** A register's handler failed: the client's request is answered with EIO, and the service goes on. */
export class HandlerError extends Error {
  override readonly name = "HandlerError";
}

/** Takes a line for people: the device's own, that a client came or went, or, without `about`, how clients are served. */
export type ModelLog = (line: string, about?: "device" | "client") => void;

/** The server as a device model sees it. */
export interface Host {
  readonly dma: DmaTable;
  /** Raises a vector, 0 if absent, by MSI-X or MSI; INTA# (level, until `lower`) while both are off. */
  raise(vector?: number): void;
  /** Deasserts INTA#. */
  lower(): void;
  /** Ends the model at once, as a kill does. */
  die(): void;
  /** Takes a line about the device, for people. */
  log(line: string): void;
}
