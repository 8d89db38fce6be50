/** Carries out accesses to a function's regions on its model. */
import { constants } from "node:os";
import { CONFIG_BYTES } from "../pci/config-offsets.ts";
import { RegionIndex } from "../protocol/vfio.ts";
import { type BarModel, type DeviceModel, RequestError } from "./device-model.ts";
import type { Interrupts } from "./interrupts.ts";

export class FunctionAccess {
  readonly #model: DeviceModel;
  readonly #interrupts: Interrupts;

  constructor(model: DeviceModel, interrupts: Interrupts) {
    this.#model = model;
    this.#interrupts = interrupts;
  }

  /** The target of a region access. The ROM accepts any range and reads as absent. Throws RequestError. */
  locate(index: number, offset: number, count: number): BarModel | "config" | "rom" {
    if (index >= RegionIndex.COUNT) throw new RequestError(constants.errno.EINVAL);
    const rom = index === RegionIndex.ROM;
    const bar = this.#model.bars[index];
    const sizeBytes =
      index === RegionIndex.CONFIG ? CONFIG_BYTES : rom ? Number.MAX_SAFE_INTEGER : (bar?.sizeBytes ?? 0);
    if (!(offset + count <= sizeBytes)) throw new RequestError(constants.errno.EINVAL);
    return bar ?? (rom ? "rom" : "config");
  }

  /** Throws RequestError, HandlerError. */
  read(target: BarModel | "config" | "rom", offset: number, to: Uint8Array): void {
    if (target === "config") {
      if (this.#model.configFails) throw new RequestError(constants.errno.EIO);
      this.#model.config.read(offset, to);
    } else if (target === "rom") to.fill(0);
    else if (!this.#decodes(target)) to.fill(0xff);
    else if (target.kind === "memory") to.set(target.bytes(offset, to.byteLength));
    else target.read(offset, to);
  }

  /** Throws RequestError, HandlerError. */
  write(target: BarModel | "config" | "rom", offset: number, from: Uint8Array): void {
    if (target === "config") {
      if (this.#model.config.write(offset, from)) this.reset();
      // INTx Disable may have been cleared.
      this.#interrupts.deliverPin();
    } else if (target !== "rom" && this.#decodes(target)) {
      if (target.kind === "memory") target.bytes(offset, from.byteLength).set(from);
      else target.write(offset, from);
    }
  }

  #decodes(bar: BarModel): boolean {
    const { memoryEnabled, ioEnabled } = this.#model.config;
    return bar.kind === "registers" && bar.io ? ioEnabled : memoryEnabled;
  }

  reset(): void {
    this.#interrupts.lower();
    this.#model.config.reset();
    this.#model.reset();
  }
}
