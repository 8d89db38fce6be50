/** The progress line of a long-running verb: on a terminal only, a few times a second. */
import { readlinkSync } from "node:fs";

/**
 * Columns of the terminal that standard error leads to, 0 without one. In a guest a pipe may lead to the
 * host's terminal: guest.ts passes the pipe and COLUMNS.
 */
export function terminalColumns(): number {
  // Imported, it would make --help slower, too.
  if (process.getBuiltinModule("node:tty").isatty(2)) return process.stderr.columns || 80; // one that nobody told its size has 0
  const { VFIOKIT_TERMINAL: pipe, COLUMNS: columns } = process.env;
  return pipe && readlinkSync("/proc/self/fd/2") === pipe ? Number(columns) : 0;
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
