/** How a guest fails, as an error. */

/**
 * "rebooted": a command did it without permission. "unknown-device": QEMU has no device of that name. "closed": its owner
 * ended it.
 */
export type GuestFailure = "timed-out" | "rebooted" | "unknown-device" | "closed" | "other";

/** The guest failed, not the command in it; or a command took longer than it may. */
export class GuestError extends Error {
  /** What happened to the guest: the text to follow "the guest" in a sentence. */
  readonly reason: string;
  readonly kind: GuestFailure;

  constructor(message: string, reason: string, kind: GuestFailure = "other") {
    super(message);
    this.reason = reason;
    this.kind = kind;
  }
}

/** Why a guest ends. */
export interface Ending {
  readonly reason: string;
  readonly kind?: GuestFailure;
}

/** A limit of a guest's boot or of its life, as its errors word it. */
export const lateEnding = (limitMs: number): Ending => ({
  reason: `did not finish within ${limitMs / 1000} s`,
  kind: "timed-out",
});

export const interruption: Ending = { reason: "was interrupted" };
