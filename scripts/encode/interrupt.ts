/** Ctrl-C and SIGTERM: the first one ends the input, from the program's first moment on. */
import { ExitCode } from "./exit-code.ts";

/** Time within which signals are one and the same: `bun run` passes on the Ctrl-C that the terminal sent to all. */
const ONE_PRESS_MS = 500;

const controller = new AbortController();
/** Aborted on the first signal; a later one ends the program at once. */
export const interrupted = controller.signal;

let firstMs: number | undefined;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    controller.abort();
    firstMs ??= performance.now();
    if (performance.now() - firstMs > ONE_PRESS_MS) process.exit(ExitCode.INTERRUPTED);
  });
}
