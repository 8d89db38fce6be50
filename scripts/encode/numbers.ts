import { UsageError } from "../cli/usage-error.ts";

/** An option's whole number. Throws UsageError if it is none, or out of range. */
export function whole(name: string, text: string | undefined, low: number, high: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < low || value > high) {
    throw new UsageError(`--${name} ${text}: it must be a whole number from ${low} to ${high}`);
  }
  return value;
}
