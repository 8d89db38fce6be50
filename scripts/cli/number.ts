/** Numbers on a device verb's command line: decimal, or hexadecimal after 0x; underscores may separate digits. */
import { UsageError } from "./usage-error.ts";

const number = /^(?:0x[0-9a-f]+(?:_[0-9a-f]+)*|\d+(?:_\d+)*)$/i;

function parse(text: string): bigint | undefined {
  return number.test(text) ? BigInt(text.replaceAll("_", "")) : undefined;
}

/** A whole number. Throws UsageError outside `low` to `high`, inclusive. */
export function wholeNumber(what: string, text: string, low: number, high: number): number {
  const value = parse(text);
  if (value === undefined || value < BigInt(low) || value > BigInt(high))
    throw new UsageError(
      `${what} ${text}: it must be a whole number from ${low} to ${high}${low <= 16 && high >= 16 ? ", such as 16 or 0x10" : ""}`,
    );
  return Number(value);
}

/** A value that fits a register of this width. Throws UsageError. */
export function word(what: string, text: string, width: number): bigint {
  const value = parse(text);
  if (value === undefined || value >= 1n << BigInt(width))
    throw new UsageError(`${what} ${text}: it must be a number that fits ${width} bits, such as 16 or 0x10`);
  return value;
}

/** `--timeout S` in milliseconds, up to a day. Throws UsageError. */
export function timeoutMs(text: string): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds <= 0 || seconds > 86_400)
    throw new UsageError(
      `--timeout ${text}: it must be a number of seconds, more than 0 and at most 86400, such as 0.5`,
    );
  return seconds * 1000;
}

/** In hexadecimal, with all digits of its width. */
export function hex(value: number | bigint, width: number): string {
  return `0x${value.toString(16).padStart(width / 4, "0")}`;
}
