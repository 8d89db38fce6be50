/** Goes on after a device has failed: it is reset, and encodes again what it had not completed. */
import { DeviceError } from "../../device/device.ts";
import { DeviceLost } from "../../device/find-again.ts";
import type { EndpointDriver } from "../driver/driver.ts";
import { EncoderError } from "../driver/failure.ts";
import type { OwnedDevice } from "./owned-device.ts";

/** How many recoveries there may be, and why there were some. */
export class Recovery {
  readonly #driver: EndpointDriver;
  readonly #owned: OwnedDevice | undefined;
  readonly #isOpen: () => boolean;
  readonly #most: number;
  readonly #reasons: string[] = [];
  #attempts = 0;
  #underWay: Promise<Error | undefined> | undefined;

  /**
   * At most `most` recoveries. A device that is gone can be found again only if it is `owned`: for the frames that it had, or for
   * the next stream while the encoder `isOpen`.
   */
  constructor(driver: EndpointDriver, owned: OwnedDevice | undefined, most: number, isOpen: () => boolean) {
    this.#driver = driver;
    this.#owned = owned;
    this.#isOpen = isOpen;
    this.#most = most;
  }

  /** Messages of the failures after which the device went on. */
  get reasons(): readonly string[] {
    return this.#reasons;
  }

  /**
   * Resolves when the device is no longer being restarted; undefined if it is not. Ask again after each wait: the next restart
   * may begin before the waiting code goes on.
   */
  get underWay(): Promise<unknown> | undefined {
    return this.#underWay;
  }

  /**
   * Makes the device go on after this failure, which several may report. If the attempts do not help, `fail` is called with the
   * failure that ended them before those who wait for `underWay` go on, and what it gives is returned. `isWanted`: whether its
   * stream is still the one to go on with.
   */
  async from(
    error: unknown,
    isWanted: () => boolean,
    fail: (failure: unknown) => Error,
  ): Promise<Error | undefined> {
    if (this.#underWay) return await this.#underWay;
    this.#underWay = this.#attempt(error, isWanted).then((failure) =>
      failure === undefined || !isWanted() ? undefined : fail(failure),
    );
    try {
      return await this.#underWay;
    } finally {
      this.#underWay = undefined;
    }
  }

  /** Whether a restart is worth trying after this failure. */
  mayHelp(error: unknown): error is EncoderError | DeviceError {
    if (error instanceof DeviceLost || this.#attempts >= this.#most) return false;
    return error instanceof EncoderError || error instanceof DeviceError;
  }

  /** Resets the device; if that does not help, opens it again, wherever it is. Then it goes on with the frames that it had. */
  async #restart(isWanted: () => boolean): Promise<void> {
    try {
      return await this.#driver.restart();
    } catch (error) {
      if (!this.#owned) throw error;
    }
    this.#driver.leave();
    await this.#replace(this.#owned, isWanted);
  }

  async #replace(owned: OwnedDevice, isWanted: () => boolean): Promise<void> {
    const device = await owned.findAgain(isWanted);
    if (device) await this.#driver.moveTo(device);
  }

  /** Resolves when the device can take a new stream. Throws DeviceLost, and what moveTo throws. */
  async ready(): Promise<void> {
    while (this.#underWay) await this.#underWay;
    if (this.#owned && this.#driver.isLeft) await this.#replace(this.#owned, this.#isOpen);
  }

  async #attempt(error: unknown, isWanted: () => boolean): Promise<unknown> {
    let failure = error;
    const reasons: string[] = [];
    while (isWanted() && this.mayHelp(failure)) {
      this.#attempts++;
      reasons.push(failure.message);
      try {
        await this.#restart(isWanted);
        if (isWanted()) this.#reasons.push(...reasons);
        return undefined;
      } catch (again) {
        failure = again;
      }
    }
    const [first] = reasons;
    if (first === undefined || !(failure instanceof Error)) return failure;
    return new EncoderError(`${failure.message}; what it was to recover from: ${first}`, { cause: failure });
  }
}
