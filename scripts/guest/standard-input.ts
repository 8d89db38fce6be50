/** Decides whether standard input goes to a guest's command. */
import { fstatSync, type Stats, statSync } from "node:fs";
import { isatty } from "node:tty";

/**
 * Whether standard input may have data for the command. A terminal does not count: its Ctrl-C ends the guest. Neither does what
 * an --in copies to the guest.
 */
export function hasInput(inputs: readonly string[]): boolean {
  let stdin: Stats;
  try {
    stdin = fstatSync(0);
  } catch {
    return false; // it is closed
  }
  if (isatty(0) || stdin.rdev === statSync("/dev/null").rdev) return false;
  return !inputs.some((path) => {
    const input = statSync(path, { throwIfNoEntry: false });
    return input?.ino === stdin.ino && input.dev === stdin.dev;
  });
}
