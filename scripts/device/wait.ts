/** Waits until a register has a value. */
import type { Width } from "../../src/registers/table.ts";
import { interrupted } from "../cli/interrupt.ts";
import { hex, word } from "../cli/number.ts";
import { UsageError } from "../cli/usage-error.ts";
import { nameOf, type Place } from "./place.ts";

/** Met by a value whose bits in `mask` are `value`. */
export interface Condition {
  readonly mask: bigint;
  readonly value: bigint;
}

export interface Waited {
  /** The last value read. */
  readonly value: bigint;
  readonly outcome: "met" | "timeout" | "interrupted";
}

/** Reads in a row; before each later one it waits for a millisecond. */
const EAGER_READS = 100;

/** `MASK=VALUE`. Throws UsageError. */
export function parseCondition(text: string, width: Width): Condition {
  const [mask, value, ...rest] = text.split("=");
  if (!mask || !value || rest.length > 0)
    throw new UsageError(`--wait ${text}: it must be MASK=VALUE, such as 0x1=0x1`);
  const condition = { mask: word("--wait mask", mask, width), value: word("--wait value", value, width) };
  if ((condition.value & ~condition.mask) !== 0n)
    throw new UsageError(`--wait ${text}: the value has bits outside the mask, so it can never match`);
  return condition;
}

/** Reads until the condition is met, the time is up, or Ctrl-C; at least once. */
export async function waitFor(read: () => bigint, condition: Condition, timeoutMs: number): Promise<Waited> {
  const deadline = performance.now() + timeoutMs;
  for (let reads = 1; ; reads++) {
    const late = performance.now() >= deadline;
    const value = read();
    if ((value & condition.mask) === condition.value) return { value, outcome: "met" };
    if (interrupted.aborted) return { value, outcome: "interrupted" };
    if (late) return { value, outcome: "timeout" };
    // The first ones let signals in, too.
    await Bun.sleep(reads < EAGER_READS ? 0 : 1);
  }
}

/** The message if it was not met. */
export function unmet(
  place: Place,
  width: Width,
  condition: Condition,
  timeoutMs: number,
  waited: Waited,
): string {
  const when = waited.outcome === "timeout" ? `within ${timeoutMs / 1000} s` : "before the interruption";
  return `${nameOf(place)} & ${hex(condition.mask, width)} did not become ${hex(condition.value, width)} ${when}; it last read ${hex(waited.value, width)}`;
}
