/** This process's terminal, for a shell in a guest. */
import { isatty } from "node:tty";
import type { Terminal } from "../../src/guest/streams.ts";
import { interruptNow } from "../cli/interrupt.ts";

/** Ctrl-] ends the guest, as it ends telnet: a guest that hangs does not heed Ctrl-C. */
const ESCAPE = 0x1d;

export interface OpenTerminal extends Terminal {
  /** Passes on every key from now on. The terminal is as before when the process exits. */
  begin(): void;
}

/** Undefined unless standard input and output are a terminal. */
export function openTerminal(): OpenTerminal | undefined {
  if (!isatty(0) || !isatty(1)) return undefined;
  const { stdin, stdout } = process;
  return {
    kind: process.env.TERM ?? "dumb",
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    onResize(call) {
      stdout.on("resize", call);
      return () => void stdout.off("resize", call);
    },
    write: (bytes) => new Promise((resolve) => stdout.write(bytes, () => resolve())),
    input: (async function* () {
      for await (const keys of stdin as AsyncIterable<Uint8Array>) {
        if (keys.includes(ESCAPE)) interruptNow();
        else yield keys;
      }
    })(),
    begin() {
      process.on("exit", () => stdin.setRawMode(false));
      stdin.setRawMode(true);
    },
  };
}
