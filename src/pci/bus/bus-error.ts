import { type Remedy, type RemedyOptions, remediesOf } from "../../remedy/remedy.ts";

/**
 * A PCI function or bus can't be found, read or changed. Says what was tried, on what, why it failed, and
 * what to do.
 */
export class BusError extends Error {
  override readonly name = "BusError";
  /** What to do about it. */
  readonly remedies: readonly Remedy[];

  constructor(message: string, options: RemedyOptions = {}) {
    super(message, options);
    this.remedies = options.remedies ?? remediesOf(options.cause);
  }
}
