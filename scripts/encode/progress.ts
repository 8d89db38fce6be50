/** The progress line of a long-running verb: on a terminal only, a few times a second. */
import { isatty } from "node:tty";

/**
 * Columns of the terminal that standard error ends at, 0 for none. In a guest it is a pipe all the way to the host's,
 * and guest.ts says so in this variable.
 */
function terminalColumns(): number {
  if (isatty(2)) return process.stderr.columns || 80; // one that nobody told its size has 0
  return Number(process.env.VFIOKIT_TERMINAL_COLUMNS ?? 0);
}

export interface Progress {
  update(line: () => string): void;
  /** Removes the line. */
  end(): void;
}

const INTERVAL_MS = 100;

export function openProgress(enabled: boolean): Progress {
  const columns = enabled ? terminalColumns() : 0;
  if (!(columns > 0)) return { update: () => {}, end: () => {} };
  let shownMs = Number.NEGATIVE_INFINITY;
  return {
    update: (line) => {
      if (performance.now() - shownMs < INTERVAL_MS) return;
      shownMs = performance.now();
      process.stderr.write(`\r${line().slice(0, columns - 1)}\x1b[K`);
    },
    end: () => process.stderr.write("\r\x1b[K"),
  };
}

/** 83 → "01:23". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${String(Math.floor(whole / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
}
