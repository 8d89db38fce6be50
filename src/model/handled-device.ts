/** The device of a model that defineModel describes. */
import type { RegisterTable } from "../registers/table.ts";
import type { ConfigSpaceModel } from "./config-space-model.ts";
import { type BarModel, type DeviceModel, HandlerError, type Host } from "./device-model.ts";
import { SharedMemoryBar } from "./memory-bar.ts";
import type { ModelDescription, ModelDevice, ModelHandlers } from "./model-description.ts";
import { MsixBar } from "./msix-bar.ts";
import { copyFrom, copyTo } from "./range-copy.ts";
import { RegisterFile } from "./register-file.ts";

interface Timer {
  readonly dueMs: number;
  readonly act: () => void;
}

const A_WORD = "a whole number of 32 bits";
const isWord = (value: number) => Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;

export class HandledDevice implements DeviceModel {
  readonly config: ConfigSpaceModel;
  readonly msiVectors: number;
  readonly msixVectors: number;
  readonly #msix: MsixBar | undefined;
  readonly wakeups = [];
  readonly bars: readonly (BarModel | undefined)[];
  readonly #description: ModelDescription;
  readonly #host: Host;
  readonly #options: URLSearchParams;
  readonly #files: readonly (RegisterFile<RegisterTable> | undefined)[];
  readonly #memories: readonly (SharedMemoryBar | undefined)[];
  /** The number of each register's BAR. */
  readonly #barOf = new Map<string, number>();
  #handlers: ModelHandlers = {};
  #timers = new Set<Timer>();

  constructor(
    description: ModelDescription,
    barBytes: readonly number[],
    config: ConfigSpaceModel,
    host: Host,
    options: URLSearchParams,
  ) {
    this.config = config;
    this.#description = description;
    this.#host = host;
    this.#options = options;
    this.#memories = description.bars.map((bar, index) =>
      bar && "memoryBytes" in bar ? new SharedMemoryBar(`model-bar${index}`, barBytes[index]!) : undefined,
    );
    this.#files = description.bars.map((bar, index) => {
      if (!bar || "memoryBytes" in bar) return undefined;
      for (const name of Object.keys(bar.registers)) this.#barOf.set(name, index);
      return new RegisterFile<RegisterTable>(bar.registers, barBytes[index]!);
    });
    const { msi = 1, msix = 0 } = description.interrupts ?? {};
    this.msiVectors = msi;
    this.msixVectors = msix;
    this.#msix = msix > 0 ? new MsixBar(msix) : undefined;
    this.bars = barBytes.map((sizeBytes, index) => {
      const bar = description.bars[index];
      if (!bar) return sizeBytes > 0 ? this.#msix : undefined;
      return "registers" in bar
        ? this.#registerBar(bar.registers, this.#files[index]!, sizeBytes)
        : this.#memories[index];
    });
    this.#powerOn(() => description.create(this.#device()));
  }

  admit(): void {
    for (const memory of this.#memories) memory?.renew();
  }

  reset(): void {
    for (const memory of this.#memories) memory?.clear();
    for (const file of this.#files) file?.reset();
    this.#msix?.reset();
    this.#powerOn(() => this.#guard("create", () => this.#description.create(this.#device())) ?? {});
  }

  [Symbol.dispose](): void {
    for (const memory of this.#memories) memory?.[Symbol.dispose]();
  }

  nextTimeMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#timers].map(({ dueMs }) => dueMs));
  }

  onTime(): void {
    const nowMs = performance.now();
    for (const timer of [...this.#timers].filter(({ dueMs }) => dueMs <= nowMs)) {
      if (!this.#timers.delete(timer)) continue; // an earlier one cancelled it
      this.#guard("a timer", timer.act);
    }
  }

  #powerOn(create: () => ModelHandlers): void {
    this.#timers = new Set();
    this.#host.lower();
    this.#handlers = {};
    const handlers = create();
    const stranger = Object.keys(handlers).find((name) => !this.#barOf.has(name));
    if (stranger !== undefined)
      throw new RangeError(
        `create gives handlers of ${stranger}, which no table has; there are ${[...this.#barOf.keys()].join(", ")}`,
      );
    this.#handlers = handlers;
  }

  #registerBar(table: RegisterTable, file: RegisterFile<RegisterTable>, sizeBytes: number): BarModel {
    /** Names by what software does, and the offset: a ro and a wo register may share one. */
    const named = (unlike: string) =>
      new Map(
        Object.entries(table)
          .filter(([, { mode }]) => mode !== unlike)
          .map(([name, { offset }]) => [offset, name]),
      );
    const [readable, writable] = [named("wo"), named("ro")];
    return {
      kind: "registers",
      sizeBytes,
      read32: (offset) => {
        const name = readable.get(offset);
        const read = name === undefined ? undefined : this.#handlers[name]?.read;
        if (!read) return name === undefined ? 0 : file.read(offset);
        const value = this.#handle(`a read of ${name}`, read);
        if (isWord(value)) return value;
        return this.#handle(`a read of ${name}`, () => {
          throw new RangeError(`its handler returned ${value}; it must be ${A_WORD}`);
        });
      },
      write32: (offset, value) => {
        const name = writable.get(offset);
        const write = name === undefined ? undefined : this.#handlers[name]?.write;
        if (write) this.#handle(`a write of 0x${value.toString(16)} to ${name}`, () => write(value));
        else if (name !== undefined) file.write(offset, value);
      },
    };
  }

  /** Calls a register's handler. Throws HandlerError where it throws, which is logged. */
  #handle<T>(what: string, act: () => T): T {
    try {
      return act();
    } catch (error) {
      this.#host.log(
        `${what} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
      throw new HandlerError(what, { cause: error });
    }
  }

  /** Calls what no client waits for; undefined where it throws, which is logged. */
  #guard<T>(what: string, act: () => T): T | undefined {
    try {
      return this.#handle(what, act);
    } catch {
      return undefined;
    }
  }

  #device(): ModelDevice {
    const timers = this.#timers;
    const fileOf = (register: string) => {
      const bar = this.#barOf.get(register);
      if (bar === undefined)
        throw new RangeError(
          `there is no register ${register}; there are ${[...this.#barOf.keys()].join(", ")}`,
        );
      return this.#files[bar]!;
    };
    return {
      options: this.#options,
      get: (register) => fileOf(register).get(register),
      set: (register, value) => {
        if (!isWord(value)) throw new RangeError(`${register} is set to ${value}; it must be ${A_WORD}`);
        fileOf(register).set(register, value);
      },
      raise: (vector) => this.#host.raise(vector),
      lower: () => this.#host.lower(),
      after: (delayMs, act) => {
        if (!(delayMs >= 0)) throw new RangeError(`a timer of ${delayMs} ms; it must be 0 or more`);
        const timer = { dueMs: performance.now() + delayMs, act };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
      readMemory: (address, sizeBytes) => {
        if (!this.config.busMaster) return undefined;
        const bytes = new Uint8Array(new ArrayBuffer(sizeBytes));
        if (copyFrom(this.#host.dma.resolve(address, sizeBytes, false), bytes.buffer)) return bytes;
        this.config.logUnsupportedRequest();
        return undefined;
      },
      writeMemory: (address, bytes) => {
        if (!this.config.busMaster) return false;
        if (copyTo(this.#host.dma.resolve(address, bytes.byteLength, true), bytes)) return true;
        this.config.logUnsupportedRequest();
        return false;
      },
      memory: (bar) => {
        const memory = this.#memories[bar];
        if (!memory) throw new RangeError(`BAR${bar} is not memory`);
        return memory.bytes(0, memory.sizeBytes);
      },
      log: (line) => this.#host.log(line),
    };
  }
}
