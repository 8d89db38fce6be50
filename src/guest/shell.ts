/** An interactive shell in a guest, on a terminal of this machine. */
import { randomBytes } from "node:crypto";
import type { OpenGuest } from "./guest.ts";
import { sendInput } from "./input.ts";
import { DRAIN_MS } from "./limits.ts";
import { markedStream } from "./marked-stream.ts";
import { connect, received } from "./socket.ts";
import type { Terminal } from "./streams.ts";

/** The guest's end of QEMU's virtconsole. */
const DEVICE = "/dev/hvc0";

/**
 * A shell on the terminal. The shell that runs this leads its session and has no terminal, so the one that it opens becomes its
 * controlling terminal. This machine's terminal begins lines: in Bun's raw mode it still turns a newline into CR and newline.
 */
const SHELL = `
  token=$1 rows=$2 columns=$3
  export TERM="$4" PS1='guest:\\w# '
  exec <> ${DEVICE} >&0 2>&1
  stty sane -onlcr rows "$rows" cols "$columns"
  printf %s "$token"
  sh -i
  code=$?
  printf %s "$token"
  exit $code`;

/** Runs a shell until it exits. Returns its exit code and how long it ran. */
export async function runShell(guest: OpenGuest, terminal: Terminal, onStart: () => void) {
  const socket = await connect(guest.terminalSocket);
  // Begins with a byte that hardly any output ends with: what may be a token's beginning is held back.
  const token = `\x1b_${randomBytes(16).toString("hex")}`;
  const output = (async () => {
    const stream = markedStream(token);
    for await (const chunk of received(socket)) {
      const data = stream.feed(chunk);
      if (data.length > 0) await terminal.write(data);
      if (stream.rest !== undefined) return;
    }
  })();
  const { columns, rows } = terminal.size();
  const stopResizing = terminal.onResize(() => {
    const { columns, rows } = terminal.size();
    const words = ["stty", "-F", DEVICE, "rows", String(rows), "cols", String(columns)];
    guest.runner(words, { cwd: "/" }).catch(() => {}); // the guest is gone, which the shell's end says
  });
  try {
    const words = [token, String(rows), String(columns), terminal.kind];
    const shell = guest.runner(["sh", "-c", SHELL, "sh", ...words], {
      cwd: guest.work,
      onStart() {
        onStart();
        sendInput(terminal.input, socket).catch(() => {});
      },
    });
    const result = await Promise.race([shell, output.then(() => shell)]);
    await Promise.race([output, Bun.sleep(DRAIN_MS)]);
    return result;
  } finally {
    stopResizing();
    socket.destroy();
  }
}
