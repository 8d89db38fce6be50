/** The device of a model that defineModel describes. */
import { fence } from "../os/access.ts";
import { elementName, isReadable, isWritable, type RegisterTable, widthMistake } from "../registers/table.ts";
import { CommonFaults } from "./common-faults.ts";
import type { ConfigSpaceModel } from "./config-space-model.ts";
import {
  type BarModel,
  type DeviceModel,
  HandlerError,
  type Host,
  RequestError,
  type Wakeup,
} from "./device-model.ts";
import { type Fault, type FaultKinds, FaultPlan } from "./fault-injection.ts";
import { MAX_READ_BYTES, MAX_VIEW_BYTES } from "./limits.ts";
import { SharedMemoryBar } from "./memory-bar.ts";
import type { BarDescriptions, ModelDescription, ModelDevice, ModelHandlers } from "./model-description.ts";
import { MsixBar } from "./msix-bar.ts";
import { RegisterFile, type StoredRegister, type Value } from "./register-file.ts";

export interface HandledDeviceOptions {
  readonly bars: BarDescriptions;
  readonly interrupts: NonNullable<ModelDescription["interrupts"]>;
  readonly barBytes: readonly number[];
  readonly config: ConfigSpaceModel;
  readonly host: Host;
  readonly options: URLSearchParams;
  readonly faults: readonly Fault<string>[];
  readonly faultKinds: FaultKinds<string>;
  /** Whether each interrupt is an event that faults count. */
  readonly countsInterrupts: boolean;
  create(device: ModelDevice): ModelHandlers;
}

/** Injected faults that leave no interrupt. */
const INSTEAD_OF_AN_INTERRUPT = ["drop-interrupt", "die", "self-reset"];

interface Timer {
  readonly dueMs: number;
  readonly act: () => void;
}

export class HandledDevice implements DeviceModel {
  readonly config: ConfigSpaceModel;
  readonly msiVectors: number;
  readonly msixVectors: number;
  readonly bars: readonly (BarModel | undefined)[];
  readonly #given: HandledDeviceOptions;
  readonly #host: Host;
  readonly #msix: MsixBar | undefined;
  readonly #files: readonly (RegisterFile | undefined)[];
  readonly #memories: readonly (SharedMemoryBar | undefined)[];
  readonly #faults: CommonFaults;
  /** The file that has each register. */
  readonly #fileOf = new Map<string, RegisterFile>();
  #handlers: ModelHandlers = {};
  #timers = new Set<Timer>();
  #wakeups: Wakeup[] = [];
  #endings: (() => void)[] = [];
  #kept: { readonly value: unknown } | undefined;
  readonly #told = new Set<string>();
  #isResetting = true;

  constructor(given: HandledDeviceOptions) {
    const { bars, barBytes, interrupts } = given;
    this.config = given.config;
    this.#given = given;
    this.#host = given.host;
    this.#faults = new CommonFaults(new FaultPlan(given.faults, given.faultKinds), {
      raise: () => this.#host.raise(),
      die: () => this.#host.die(),
      after: (delayMs, act) => void this.#timers.add({ dueMs: performance.now() + delayMs, act }),
      reset: () => this.reset(),
    });
    this.#memories = bars.map((bar, index) =>
      bar && "memoryBytes" in bar ? new SharedMemoryBar(`model-bar${index}`, barBytes[index]!) : undefined,
    );
    this.#files = bars.map((bar) => (bar && "registers" in bar ? this.#openFile(bar.registers) : undefined));
    const { msi = 1, msix = 0 } = interrupts;
    this.msiVectors = msi;
    this.msixVectors = msix;
    this.#msix = msix > 0 ? new MsixBar(msix) : undefined;
    this.bars = barBytes.map((sizeBytes, index) => {
      const bar = bars[index];
      if (!bar) return sizeBytes > 0 ? this.#msix : undefined;
      return "registers" in bar
        ? this.#registerBar(this.#files[index]!, index, sizeBytes, bar.io ?? false)
        : this.#memories[index];
    });
    this.#powerOn(() => this.#create());
  }

  get configFails(): boolean {
    return this.#faults.configFails;
  }

  get wakeups(): readonly Wakeup[] {
    return this.#wakeups;
  }

  admit(): void {
    if (!this.#memories.some((memory) => memory)) return;
    try {
      for (const memory of this.#memories) memory?.renew();
    } finally {
      this.reset(); // what `create` got from `memory` is unmapped now, so it runs again
    }
  }

  reset(): void {
    this.#end();
    for (const memory of this.#memories) memory?.clear();
    for (const file of this.#files) file?.reset();
    this.#msix?.reset();
    this.#powerOn(() => this.#guard("create", () => this.#create()) ?? {});
  }

  [Symbol.dispose](): void {
    this.#end();
    for (const memory of this.#memories) memory?.[Symbol.dispose]();
  }

  endRanges(): void {
    for (const memory of this.#memories) memory?.endRanges();
  }

  nextTimeMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.#timers) nextMs = Math.min(nextMs, dueMs);
    return nextMs;
  }

  onTime(): void {
    const nowMs = performance.now();
    const due = [...this.#timers].filter(({ dueMs }) => dueMs <= nowMs);
    for (const timer of due.toSorted((a, b) => a.dueMs - b.dueMs)) {
      if (!this.#timers.delete(timer)) continue; // an earlier one cancelled it
      this.#guard("a timer", timer.act);
    }
  }

  /** Does what waits for a reset. */
  #end(): void {
    this.#isResetting = true;
    for (const act of this.#endings.splice(0)) this.#guard("what a reset ends", act);
  }

  #powerOn(create: () => ModelHandlers): void {
    this.#timers = new Set();
    this.#wakeups = [];
    this.#faults.reset();
    this.#told.clear();
    this.#host.lower();
    this.#handlers = {};
    this.#handlers = create();
    this.#isResetting = false;
  }

  /** Throws RangeError, and what the model's `create` throws. */
  #create(): ModelHandlers {
    const handlers: unknown = this.#given.create(this.#device());
    if (typeof handlers !== "object" || handlers === null || handlers instanceof Promise)
      throw new RangeError(
        `create gives ${handlers instanceof Promise ? "a promise" : handlers}; it must return the handlers`,
      );
    const stranger = Object.keys(handlers).find((name) => !this.#fileOf.has(name));
    if (stranger !== undefined)
      throw new RangeError(
        `create gives handlers of ${stranger}, which no table has; there are ${[...this.#fileOf.keys()].join(", ")}`,
      );
    for (const [name, handler] of Object.entries(handlers)) this.#checkHandler(name, handler ?? {});
    return handlers;
  }

  /** Throws RangeError: a handler that is never called. */
  #checkHandler(name: string, handler: object): void {
    const { register } = this.#fileOf.get(name)!.find(name);
    for (const way of Object.keys(handler)) {
      if (way !== "read" && way !== "write")
        throw new RangeError(`the handler of ${name} has "${way}"; it may have read and write`);
      if (way === "read" ? isReadable(register) : isWritable(register)) continue;
      throw new RangeError(
        `the handler of ${name} has ${way}, which its mode, ${register.mode}, never calls`,
      );
    }
  }

  #openFile(table: RegisterTable): RegisterFile {
    const file = new RegisterFile(table, {
      read: (register) => {
        const read = this.#handlers[register.name]?.read;
        return read && (() => this.#read(register, read));
      },
      write: (register) => {
        const write = this.#handlers[register.name]?.write;
        return (
          write &&
          ((value) =>
            this.#handle(`a write of 0x${value.toString(16)} to ${elementName(register)}`, () =>
              // A register of 64 bits gets a bigint, which the handler's type says.
              write(value as number, register.index ?? 0),
            ))
        );
      },
    });
    for (const name of Object.keys(table)) this.#fileOf.set(name, file);
    return file;
  }

  #read(register: StoredRegister, read: (index: number) => Value): Value {
    return this.#handle(`a read of ${elementName(register)}`, () => {
      const value = read(register.index ?? 0);
      const mistake = widthMistake(register.register, value);
      if (mistake !== undefined) throw new RangeError(`its handler returned a wrong value: ${mistake}`);
      return value;
    });
  }

  #registerBar(file: RegisterFile, bar: number, sizeBytes: number, io: boolean): BarModel {
    return {
      kind: "registers",
      sizeBytes,
      io,
      read: (offset, to) => {
        if (this.#faults.silent) to.fill(0xff);
        else file.read(offset, to);
      },
      write: (offset, from) => {
        if (this.#faults.silent) return;
        try {
          file.write(offset, from);
        } catch (error) {
          const what = `${from.byteLength} at BAR${bar}:0x${offset.toString(16)}`;
          if (error instanceof RequestError)
            this.#tell("a write", `its bytes, ${what}, cover a register only in part`);
          throw error;
        }
      },
    };
  }

  /** Logs what failed, once until the next reset: software may do it again and again. */
  #tell(what: string, why: string): void {
    if (!this.#told.has(what)) this.#host.log(`${what} failed: ${why}`);
    this.#told.add(what);
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

  #raise(vector = 0): void {
    const vectors = Math.max(1, this.msiVectors, this.msixVectors);
    if (!Number.isInteger(vector) || vector < 0 || vector >= vectors)
      throw new RangeError(`vector ${vector} is raised; the last one is ${vectors - 1}`);
    const struck = this.#given.countsInterrupts ? this.#faults.strike() : undefined;
    if (!INSTEAD_OF_AN_INTERRUPT.some((kind) => struck?.has(kind))) this.#host.raise(vector);
  }

  #memory(bar: number): SharedMemoryBar {
    const memory = this.#memories[bar];
    if (!memory) throw new RangeError(`BAR${bar} is not memory`);
    return memory;
  }

  #device(): ModelDevice {
    const [timers, wakeups] = [this.#timers, this.#wakeups];
    const { config } = this;
    const { dma } = this.#host;
    const fileOf = (register: string) => {
      const file = this.#fileOf.get(register);
      if (!file)
        throw new RangeError(
          `there is no register ${register}; there are ${[...this.#fileOf.keys()].join(", ")}`,
        );
      return file;
    };
    const mayMaster = (what: string) => {
      if (!config.busMaster) this.#tell(what, "bus mastering is off");
      return config.busMaster;
    };
    const isMapped = () => !this.#faults.takeUnmapped();
    /** The result of an access to the host's memory, which logs one that failed. */
    const logged = <T>(result: T): T => {
      if (!result) {
        config.logUnsupportedRequest();
        this.#tell("an access by DMA", "an address that is not mapped");
      }
      return result;
    };
    return {
      options: this.#given.options,
      keep: <K>(make: () => K) => {
        this.#kept ??= { value: make() };
        return this.#kept.value as K;
      },
      get: (register, index) => fileOf(register).get(register, index) as number,
      set: (register, value, index) => fileOf(register).set(register, value, index),
      raise: (vector) => this.#raise(vector),
      lower: () => this.#host.lower(),
      after: (delayMs, act) => {
        if (!(delayMs >= 0)) throw new RangeError(`a timer of ${delayMs} ms; it must be 0 or more`);
        const timer = { dueMs: performance.now() + delayMs, act };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
      onReadable: (fd, act) => {
        const onReadable = () => {
          // The reset may have come while the server calls one after the other.
          if (this.#wakeups === wakeups) this.#guard("what a descriptor woke", act);
        };
        wakeups.push({ fd, onReadable });
      },
      onReset: (act) => void this.#endings.push(act),
      reset: () => {
        if (this.#isResetting)
          throw new RangeError("create or onReset calls reset while the device is being reset");
        this.reset();
      },
      get busMaster() {
        return config.busMaster;
      },
      readMemory: (address, sizeBytes) => {
        if (!(sizeBytes <= MAX_READ_BYTES))
          throw new RangeError(`a DMA read of ${sizeBytes} bytes; one reads at most ${MAX_READ_BYTES}`);
        if (!mayMaster("a DMA read")) return undefined;
        const bytes = new Uint8Array(new ArrayBuffer(sizeBytes));
        return logged(isMapped() && dma.read(address, bytes)) ? bytes : undefined;
      },
      writeMemory: (address, bytes) => {
        if (!mayMaster("a DMA write")) return false;
        fence();
        return logged(isMapped() && dma.write(address, bytes));
      },
      holdMemory: (address, sizeBytes, write) =>
        config.busMaster && isMapped() ? dma.resolve(address, sizeBytes, write) : undefined,
      logUnsupportedRequest: () => config.logUnsupportedRequest(),
      memory: (bar) => {
        const memory = this.#memory(bar);
        if (memory.sizeBytes > MAX_VIEW_BYTES)
          throw new RangeError(
            `BAR${bar} has more than 4 GiB, which no array holds; holdBar gives parts of it`,
          );
        return memory.bytes(0, memory.sizeBytes);
      },
      holdBar: (bar, offset, sizeBytes) => this.#memory(bar).resolve(offset, sizeBytes),
      strike: () => this.#faults.strike(),
      takeDelayMs: () => this.#faults.takeDelayMs(),
      log: (line) => this.#host.log(line),
    };
  }
}
