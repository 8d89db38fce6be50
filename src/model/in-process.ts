/**
 * A model opened in this process, without a server, a child process or a socket. The model runs while the driver accesses the
 * device or waits for it, and on the event loop.
 */
import {
  DeviceError,
  type DmaOptions,
  type Interrupt,
  type InterruptKind,
  type PciDevice,
  type Region,
} from "../device/device.ts";
import { MappedDma } from "../device/dma-memory.ts";
import { IovaAllocator } from "../device/iova.ts";
import { type MappedArea, openRegion, type RegionTransfers } from "../device/region.ts";
import { fence } from "../os/access.ts";
import { errnoName } from "../os/errno.ts";
import { alignmentOf, mapAnonymous, mapShared, PAGE_SIZE } from "../os/memory.ts";
import { MOST_MS, POLLIN, poll } from "../os/poll.ts";
import { CONFIG_BYTES, Command, Config } from "../pci/config-offsets.ts";
import { type ConfigSpace, openConfigSpace } from "../pci/config-space.ts";
import { BARS, DmaFlag, IrqIndex, IrqSet, RegionIndex } from "../protocol/vfio.ts";
import type { ModelDefinition, PreparedModel } from "./definition.ts";
import { type DeviceModel, HandlerError, RequestError } from "./device-model.ts";
import { DmaTable } from "./dma.ts";
import { FunctionAccess } from "./function-access.ts";
import { InProcessVector, type WorkingModel } from "./in-process-vector.ts";
import { Interrupts } from "./interrupts.ts";
import { MAX_ACCESS_BYTES } from "./limits.ts";
import { optionMistake } from "./models.ts";
import { SharedMapping } from "./shared-mapping.ts";
import { WakeupWatch } from "./wakeup-watch.ts";

/** Options for `openModel`. */
export interface OpenModelOptions {
  /** Values of the model's options, by name. */
  readonly options?: Readonly<Record<string, string>>;
  /** What messages call the device; the model's title if absent. */
  readonly name?: string;
  /** Takes the model's lines for people; they go to standard error if absent. */
  readonly log?: (line: string) => void;
}

const irqIndexOf: Readonly<Record<InterruptKind, number>> = {
  intx: IrqIndex.INTX,
  msi: IrqIndex.MSI,
  msix: IrqIndex.MSIX,
  err: IrqIndex.ERR,
  req: IrqIndex.REQ,
};
/** How often descriptors that a model waits for are looked at, if the event loop can't wait for them. */
const LOOK_MS = 1;

/** Opens a model as a device. Throws what the model's `prepare` throws, RangeError: it has no such option. */
export async function openModel<Data>(
  definition: ModelDefinition<Data>,
  { options = {}, name = definition.title, log = console.error }: OpenModelOptions = {},
): Promise<PciDevice> {
  const query = new URLSearchParams(options);
  const mistake = optionMistake(query.toString(), definition.options);
  if (mistake !== undefined) throw new RangeError(`${definition.title} ${mistake}`);
  let failure: Error | undefined;
  const fail = (error: Error) => {
    failure ??= error;
  };
  const setup = { options: query, notice: log, fail };
  const [prepared, create] = await Promise.all([definition.prepare(setup), definition.load()]);
  try {
    const dma = new DmaTable();
    let interrupts: Interrupts | undefined;
    const host = {
      dma,
      raise: (vector?: number) => {
        if (!failure) interrupts?.raise(vector);
      },
      lower: () => interrupts?.lower(),
      // This process has other work, so only the device ends.
      die: () => fail(new Error("an injected fault ended it")),
      log,
    };
    const model = create(host, prepared.data, (message) => prepared.onAsk?.(message));
    const pin = new Uint8Array(1);
    model.config.read(Config.INTERRUPT_PIN, pin);
    interrupts = new Interrupts(model.config, pin[0] !== 0, model.msiVectors, model.msixVectors);
    model.admit();
    return new InProcessDevice(name, model, dma, interrupts, prepared, () => failure);
  } catch (error) {
    prepared.release();
    throw error;
  }
}

class InProcessDevice implements PciDevice, WorkingModel {
  readonly spec: string;
  readonly reachedBy = "a model in this process";
  readonly hasDma = true;
  readonly config: ConfigSpace;
  readonly bars: readonly Region[];
  readonly #model: DeviceModel;
  readonly #access: FunctionAccess;
  readonly #dma: DmaTable;
  readonly #interrupts: Interrupts;
  readonly #prepared: PreparedModel;
  readonly #failure: () => Error | undefined;
  readonly #iova = new IovaAllocator([{ first: 0n, last: 2n ** 64n - 1n }]);
  readonly #memories = new Set<MappedDma>();
  /** Mappings that the driver or the model's threads use. */
  readonly #mappings = new Set<SharedMapping>();
  readonly #watch = new WakeupWatch(() => this.turn());
  readonly #barMappings = new DisposableStack();
  #timer: Timer | undefined;
  /** When the model had its last turn, on performance.now()'s clock. */
  #turnMs = 0;
  /** When the timer is due, on the same clock. */
  #timerMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(
    spec: string,
    model: DeviceModel,
    dma: DmaTable,
    interrupts: Interrupts,
    prepared: PreparedModel,
    failure: () => Error | undefined,
  ) {
    this.spec = spec;
    this.#model = model;
    this.#access = new FunctionAccess(model, interrupts);
    this.#dma = dma;
    this.#interrupts = interrupts;
    this.#prepared = prepared;
    this.#failure = failure;
    this.bars = Array.from({ length: BARS }, (_, index) =>
      openRegion(index, model.bars[index]?.sizeBytes ?? 0, this.#areas(index), this.#transfers(index)),
    );
    this.config = openConfigSpace(CONFIG_BYTES, this.#transfers(RegionIndex.CONFIG));
    this.#enable();
  }

  /** The memory of a BAR that has some, mapped as a client maps it. */
  #areas(index: number): MappedArea[] {
    const bar = this.#model.bars[index];
    if (bar?.kind !== "memory") return [];
    const mapping = this.#barMappings.use(mapShared(bar.fd, bar.sizeBytes));
    return [{ offset: 0, sizeBytes: bar.sizeBytes, mapping, from: 0 }];
  }

  #enable(): void {
    this.config.write16(
      Config.COMMAND,
      this.config.read16(Config.COMMAND) | Command.IO | Command.MEMORY | Command.BUS_MASTER,
    );
  }

  turn(): void {
    if (this.#closed) return;
    if (this.#failure()) {
      // Nobody takes the model's signals any more.
      this.#watch[Symbol.dispose]();
      return;
    }
    const { wakeups } = this.#model;
    this.#turnMs = performance.now();
    if (wakeups.length > 0) {
      const ready = this.#look(0);
      for (const [i, wakeup] of wakeups.entries()) if (ready[i]) wakeup.onReadable();
    }
    if (performance.now() >= this.#model.nextTimeMs()) this.#model.onTime();
    this.#goOn();
  }

  /** Which of the model's descriptors are readable, after waiting at most so long for one. */
  #look(timeoutMs: number): number[] {
    this.#watch.putBack();
    return poll(
      this.#model.wakeups.map(({ fd }) => ({ fd, events: POLLIN })),
      timeoutMs,
    );
  }

  idle(timeoutMs: number): void {
    if (this.#closed) throw this.#error("wait for an interrupt: it was closed");
    // Its descriptors may stay readable, but nobody takes what they say.
    if (this.#failure()) return Bun.sleepSync(timeoutMs);
    this.#look(Math.max(0, Math.min(timeoutMs, this.#model.nextTimeMs() - performance.now())));
  }

  /** Schedules the model's next turn. */
  #goOn(): void {
    this.#watch.watch(this.#model.wakeups);
    const lookMs = this.#watch.missesSome ? performance.now() + LOOK_MS : Number.POSITIVE_INFINITY;
    const dueMs = Math.min(this.#model.nextTimeMs(), lookMs);
    if (dueMs === this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = dueMs;
    if (dueMs === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.min(Math.max(0, dueMs - performance.now()), MOST_MS);
    this.#timer = setTimeout(() => {
      this.#timerMs = Number.POSITIVE_INFINITY;
      this.turn();
    }, waitMs).unref();
  }

  #error(what: string, cause?: unknown): DeviceError {
    return new DeviceError(`${this.spec}: ${what}`, { cause });
  }

  /** Throws DeviceError if it is closed, or the model failed. */
  #check(what: string): void {
    if (this.#closed) throw this.#error(`${what}: it was closed`);
    const failure = this.#failure();
    if (failure) throw this.#error(`${what}: the model failed: ${failure.message}`, failure);
  }

  /** Carries out an access. Throws DeviceError. */
  #attempt<T>(what: string, act: () => T): T {
    this.#check(what);
    // A driver that only polls a register must see it change. Looking at each access would cost a system call each.
    if (performance.now() - this.#turnMs >= LOOK_MS || this.#model.nextTimeMs() <= performance.now())
      this.turn();
    try {
      return act();
    } catch (error) {
      if (!(error instanceof RequestError || error instanceof HandlerError)) throw error;
      const name = error instanceof RequestError ? errnoName(error.errno) : "EIO";
      throw this.#error(`${what}: the model refused it: ${name}`, error);
    } finally {
      this.#goOn();
    }
  }

  #transfers(index: number): RegionTransfers {
    const scratch = new Uint8Array(new ArrayBuffer(MAX_ACCESS_BYTES));
    const name = index === RegionIndex.CONFIG ? "config" : `BAR${index}`;
    return {
      maxDataBytes: MAX_ACCESS_BYTES,
      read: (offset, sizeBytes) => {
        const to = scratch.subarray(0, sizeBytes);
        this.#attempt(`read ${sizeBytes} bytes at ${name}:0x${offset.toString(16)}`, () =>
          this.#access.read(this.#access.locate(index, offset, sizeBytes), offset, to),
        );
        return new DataView(scratch.buffer, 0, sizeBytes);
      },
      write: (offset, bytes) =>
        this.#attempt(`write ${bytes.byteLength} bytes at ${name}:0x${offset.toString(16)}`, () =>
          this.#access.write(this.#access.locate(index, offset, bytes.byteLength), offset, bytes),
        ),
    };
  }

  interruptCount(kind: InterruptKind): number {
    return this.#interrupts.info(irqIndexOf[kind]).count;
  }

  enableInterrupts(kind: InterruptKind, count: number): Interrupt[] {
    if (count > this.interruptCount(kind))
      throw this.#error(`enable ${count} vectors of ${kind}: it has ${this.interruptCount(kind)}`);
    this.#check(`enable ${count} vectors of ${kind}`);
    const vectors = Array.from({ length: count }, () => new InProcessVector(this));
    this.#interrupts.arm(irqIndexOf[kind], vectors);
    return vectors;
  }

  disableInterrupts(kind: InterruptKind): void {
    this.#interrupts.arm(irqIndexOf[kind], []);
  }

  unmaskIntx(): void {
    const flags = IrqSet.DATA_NONE | IrqSet.ACTION_UNMASK;
    this.#attempt("unmask INTx", () =>
      this.#interrupts.set(flags, IrqIndex.INTX, 0, 1, new Uint8Array(), []),
    );
  }

  allocateDma(sizeBytes: number, { addressBits }: DmaOptions = {}): MappedDma {
    const roundedBytes = Math.ceil(sizeBytes / PAGE_SIZE) * PAGE_SIZE;
    const iova = this.#iova.allocate(roundedBytes, alignmentOf(roundedBytes, PAGE_SIZE), addressBits);
    if (iova === undefined)
      throw this.#error(`no ${roundedBytes} bytes of addresses below 2^${addressBits} are left`);
    let shared: SharedMapping | undefined;
    try {
      const mapping = new SharedMapping(mapAnonymous(roundedBytes), () => this.#mappings.delete(mapping));
      shared = mapping;
      this.#mappings.add(mapping);
      this.#dma.map(iova, roundedBytes, DmaFlag.READ | DmaFlag.WRITE, shared, 0);
    } catch (error) {
      shared?.release();
      this.#iova.free(iova);
      throw this.#error(
        `${roundedBytes} bytes for DMA: ${error instanceof Error ? error.message : error}`,
        error,
      );
    }
    // The model may still read a frame when the driver has released it.
    const memory = new MappedDma(iova, shared.share(), PAGE_SIZE, () => {
      this.#memories.delete(memory);
      this.#iova.free(iova);
      this.#dma.unmap(iova, roundedBytes);
    });
    shared.release();
    this.#memories.add(memory);
    return memory;
  }

  fence(): void {
    fence();
  }

  reset(): void {
    this.#attempt("reset", () => this.#access.reset());
    this.#enable();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#watch[Symbol.dispose]();
    this.#interrupts.clear();
    this.#model.reset();
    for (const memory of [...this.#memories]) memory[Symbol.dispose]();
    this.#model[Symbol.dispose]?.();
    this.#barMappings.dispose();
    // A thread that reads a frame goes on until it has finished that.
    void Promise.resolve(this.#prepared.release()).then(() => {
      for (const mapping of [...this.#mappings]) mapping.endRanges();
      this.#model.endRanges?.();
    });
  }
}
