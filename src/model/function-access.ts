/** Carries out accesses to a function's regions on its model. */
import { constants } from "node:os";
import { errnoName } from "../os/errno.ts";
import { CONFIG_BYTES } from "../pci/config-offsets.ts";
import { RegionIndex } from "../protocol/vfio.ts";
import type { BarModel, DeviceModel } from "./device-model.ts";
import type { Interrupts } from "./interrupts.ts";

/** Fails one access or request; the device stays usable. */
export class RequestError extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(errnoName(errno));
    this.errno = errno;
  }
}

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

  /** Throws HandlerError. */
  read(target: BarModel | "config" | "rom", offset: number, to: Uint8Array): void {
    if (target === "config") this.#model.config.read(offset, to);
    else if (target === "rom") to.fill(0);
    else if (!this.#model.config.memoryEnabled) to.fill(0xff);
    else if (target.kind === "memory") to.set(target.bytes(offset, to.byteLength));
    else readBytes(target, offset, to);
  }

  /** Throws RequestError, HandlerError. */
  write(target: BarModel | "config" | "rom", offset: number, from: Uint8Array): void {
    if (target === "config") {
      if (this.#model.config.write(offset, from)) this.reset();
      // INTx Disable may have been cleared.
      this.#interrupts.deliverPin();
    } else if (target !== "rom" && this.#model.config.memoryEnabled) {
      if (target.kind === "memory") {
        target.bytes(offset, from.byteLength).set(from);
        return;
      }
      if (offset % 4 || from.byteLength % 4) throw new RequestError(constants.errno.EINVAL);
      const words = new DataView(from.buffer, from.byteOffset, from.byteLength);
      for (let i = 0; i < from.byteLength; i += 4) target.write32(offset + i, words.getUint32(i, true));
    }
  }

  reset(): void {
    this.#model.config.reset();
    this.#model.reset();
    this.#interrupts.lower();
  }
}

/** Reads any number of register bytes by aligned words: reads each word that the range touches once. */
function readBytes(bar: BarModel & { kind: "registers" }, offset: number, to: Uint8Array): void {
  for (let word = offset & ~3; word < offset + to.byteLength; word += 4) {
    const value = bar.read32(word);
    for (let i = 0; i < 4; i++)
      if (word + i >= offset && word + i < offset + to.byteLength) to[word + i - offset] = value >>> (8 * i);
  }
}
