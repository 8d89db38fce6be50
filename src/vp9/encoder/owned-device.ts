/** The device that an encoder has opened itself, and so can open again. */
import type { PciDevice } from "../../device/device.ts";
import { findAgain, userDriverOf } from "../../device/find-again.ts";
import { openDevice } from "../../device/open.ts";

export class OwnedDevice implements Disposable {
  readonly #spec: string;
  readonly #options: { readonly timeoutMs: number; readonly postWrites: true };
  readonly #findMs: number;
  readonly #driver: string | undefined;
  #device: PciDevice;

  /** `findMs`: how long to look for it once it is lost. Throws DeviceError. */
  constructor(spec: string, timeoutMs: number, findMs: number) {
    this.#spec = spec;
    // Each frame costs a register write, the doorbell. Posted writes don't wait for a reply.
    this.#options = { timeoutMs, postWrites: true };
    this.#findMs = findMs;
    this.#device = openDevice(spec, this.#options);
    this.#driver = userDriverOf(spec);
  }

  get device(): PciDevice {
    return this.#device;
  }

  /** Closes the device and opens it again. Undefined if it is wanted no longer. Throws DeviceLost. */
  async findAgain(isWanted: () => boolean): Promise<PciDevice | undefined> {
    this.#device[Symbol.dispose]();
    const options = { ...this.#options, limitMs: this.#findMs, driver: this.#driver, isWanted };
    const found = await findAgain(this.#spec, options);
    if (!found) return undefined;
    this.#device = found;
    if (isWanted()) return found;
    found[Symbol.dispose]();
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#device[Symbol.dispose]();
  }
}
