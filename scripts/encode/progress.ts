/** The progress line of a long-running verb: on a terminal only, a few times a second. */
import { isatty } from "node:tty";

export interface Progress {
  update(line: () => string): void;
  /** Removes the line. */
  end(): void;
}

const INTERVAL_MS = 100;

export function openProgress(enabled: boolean): Progress {
  if (!enabled || !isatty(2)) return { update: () => {}, end: () => {} };
  let shownMs = Number.NEGATIVE_INFINITY;
  return {
    update: (line) => {
      if (performance.now() - shownMs < INTERVAL_MS) return;
      shownMs = performance.now();
      // A terminal that nobody told its size has 0 columns.
      process.stderr.write(`\r${line().slice(0, (process.stderr.columns || 80) - 1)}\x1b[K`);
    },
    end: () => process.stderr.write("\r\x1b[K"),
  };
}

/** 83 → "01:23". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${String(Math.floor(whole / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
}
