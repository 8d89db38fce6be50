import { type Remedy, type RemedyOptions, remediesOf } from "../../src/remedy/remedy.ts";

/** A command line that makes no sense. */
export class UsageError extends Error {
  /** What to do about it. */
  readonly remedies: readonly Remedy[];

  constructor(message: string, options: RemedyOptions = {}) {
    super(message, options);
    this.remedies = options.remedies ?? remediesOf(options.cause);
  }
}
