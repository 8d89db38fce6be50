/**
 * A model as a vfio-user server in its own process, which exits with the process that started it: for a
 * guest, or any other client that takes a socket's path.
 */
import { findTool } from "../../debian/process.ts";
import { bunProgram, ownFile } from "../../os/bun-program.ts";
import type { ModelSpec } from "../models.ts";
import { whenUp } from "./lines.ts";

const STOP_MS = 5000;
/** How many characters of its standard error are kept. */
const LAST_WORDS = 4096;
/** How long to wait for its last words after it exits. */
const LAST_WORDS_MS = 200;

export interface ServedModel extends AsyncDisposable {
  /** The spec that opens it: vfio-user:/path/to.sock. */
  readonly spec: string;
}

/**
 * Starts the server; resolves when it accepts clients. `log` gets what it falls back to, and a line if it
 * exits by itself. Throws Error with its output if it does not start.
 */
export async function serveModel(
  { spec, file, query }: ModelSpec,
  socketPath: string,
  log: (line: string) => void,
): Promise<ServedModel> {
  const program = bunProgram(ownFile("./served-program.ts", import.meta.url));
  const words = [findTool("setpriv"), "--pdeathsig", "TERM", ...program, socketPath, file, query];
  const server = Bun.spawn(words, {
    detached: true, // the terminal's Ctrl-C is ours to handle
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  const listening = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of server.stderr)
      said = (said + decoder.decode(bytes, { stream: true })).slice(-LAST_WORDS);
  })();
  const up = await whenUp(server.stdout, (line) => {
    said = `${said}${line}\n`.slice(-LAST_WORDS);
  });
  if (up === undefined) {
    await listening;
    throw new Error(`${spec} did not start: ${said.trim()}`);
  }
  if (said !== "") log(`${spec}: ${said.trim()}`);
  said = "";
  let ending = false;
  void server.exited.then(async (exitCode) => {
    // Its standby shares its standard error, which may therefore stay open.
    await Promise.race([listening, Bun.sleep(LAST_WORDS_MS)]);
    if (ending) return;
    const how = server.signalCode ?? `exit code ${exitCode}`;
    const rest = exitCode === 0 ? "" : "; the guest now sees a dead device";
    // A killed server has no last words.
    const words = server.signalCode ? "" : said.trim();
    log([`${spec} ended (${how})${rest}`, words].filter(Boolean).join("\n"));
  });
  return {
    spec: `vfio-user:${socketPath}`,
    async [Symbol.asyncDispose]() {
      ending = true;
      server.kill("SIGTERM");
      const late = setTimeout(() => server.kill("SIGKILL"), STOP_MS);
      await server.exited;
      clearTimeout(late);
    },
  };
}
