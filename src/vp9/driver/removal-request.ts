/** Watches for the kernel's request to give a device back, which holds up its removal until the device is closed. */
import { DeviceError, type Interrupt, type PciDevice } from "../../device/device.ts";

export class RemovalRequest implements Disposable {
  readonly #device: PciDevice;
  readonly #interrupt: Interrupt | undefined;
  #request: DeviceError | undefined;

  /** A device that can't be requested never is. `onRequest` is called on the event loop. Throws DeviceError. */
  constructor(device: PciDevice, onRequest: (error: DeviceError) => void) {
    this.#device = device;
    if (device.interruptCount("req") === 0) return;
    this.#interrupt = device.enableInterrupts("req", 1)[0]!;
    void this.#interrupt.waitAsync(Number.POSITIVE_INFINITY).then((count) => {
      if (count === 0) return;
      this.#request = new DeviceError(
        `${this.#device.spec}: the kernel wants the device back: it is being removed, or gets another driver`,
      );
      onRequest(this.#request);
    });
  }

  /** Throws DeviceError if the kernel waits for this process to close the device. */
  check(): void {
    if (this.#request) throw this.#request;
  }

  /** Throws DeviceError. */
  [Symbol.dispose](): void {
    if (!this.#interrupt) return;
    try {
      this.#device.disableInterrupts("req");
    } finally {
      this.#interrupt[Symbol.dispose]();
    }
  }
}
