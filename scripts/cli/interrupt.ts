/** Handles Ctrl-C, SIGTERM and a closing terminal from the program's start: the first one ends the input. */
import { readFileSync, writeSync } from "node:fs";
import { ExitCode } from "./exit-code.ts";

/** Signals within this time count as one: `bun run` passes on the Ctrl-C that the terminal sent to all. */
const ONE_PRESS_MS = 500;

const controller = new AbortController();
/** Aborted on the first signal; a later one ends the program at once. */
export const interrupted = controller.signal;

/** Does what the first signal does. */
export const interruptNow = (): void => controller.abort();

let firstMs: number | undefined;
// nohup makes the program ignore SIGHUP: bit 0 of the mask in proc(5).
const ignoresHangup = /^SigIgn:\t[\da-f]*[13579bdf]$/m.test(readFileSync("/proc/self/status", "latin1"));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  if (signal === "SIGHUP" && ignoresHangup) continue;
  process.on(signal, () => {
    controller.abort();
    firstMs ??= performance.now();
    if (performance.now() - firstMs <= ONE_PRESS_MS) return;
    try {
      writeSync(2, "interrupted again: exiting at once\n");
    } catch {
      // The terminal is gone.
    }
    process.exit(ExitCode.INTERRUPTED);
  });
}
