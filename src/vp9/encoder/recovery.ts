/** Goes on after a device has failed: it is reset, and encodes again what it had not completed. */
import { DeviceError } from "../../device/device.ts";
import { EncoderError } from "../driver/failure.ts";

/** How many recoveries there may be, and why there were some. */
export class Recovery {
  readonly #restart: () => Promise<void>;
  readonly #most: number;
  readonly #reasons: string[] = [];
  #underWay: Promise<boolean> | undefined;

  /** `restart` resets the device and submits its frames again; `most` recoveries at most. */
  constructor(restart: () => Promise<void>, most: number) {
    this.#restart = restart;
    this.#most = most;
  }

  /** Messages of the failures that were recovered from. */
  get reasons(): readonly string[] {
    return this.#reasons;
  }

  /** Resolves when the device takes frames, if it is being restarted. */
  async settled(): Promise<void> {
    while (this.#underWay) await this.#underWay;
  }

  /**
   * Whether the device goes on after this failure, which several may report. `isWanted`: whether its stream is still the one
   * to go on with.
   */
  async from(error: unknown, isWanted: () => boolean): Promise<boolean> {
    if (this.#underWay) return await this.#underWay;
    this.#underWay = this.#attempt(error, isWanted);
    try {
      return await this.#underWay;
    } finally {
      this.#underWay = undefined;
    }
  }

  /** Whether a restart is worth trying after this failure. */
  mayHelp(error: unknown): error is EncoderError | DeviceError {
    return (
      this.#reasons.length < this.#most && (error instanceof EncoderError || error instanceof DeviceError)
    );
  }

  async #attempt(error: unknown, isWanted: () => boolean): Promise<boolean> {
    let failure = error;
    while (isWanted() && this.mayHelp(failure)) {
      this.#reasons.push(failure.message);
      try {
        await this.#restart();
        return true;
      } catch (again) {
        failure = again;
      }
    }
    return false;
  }
}
