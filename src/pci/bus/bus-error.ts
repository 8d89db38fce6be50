import { type Remedy, type RemedyOptions, remediesOf } from "../../remedy/remedy.ts";

/** Something on the PCI bus that can't be found, read or changed: what was tried, on what, and why. */
export class BusError extends Error {
  override readonly name = "BusError";
  /** What to do about it. */
  readonly remedies: readonly Remedy[];

  constructor(message: string, options: RemedyOptions = {}) {
    super(message, options);
    this.remedies = options.remedies ?? remediesOf(options.cause);
  }
}
