/**
 * Device models for a guest: `model:vp9` becomes a vfio-user server in a process of its own, which lives as long as the
 * guest. This floor knows the program's command line, not its code.
 */
import { join } from "node:path";
import { findTool } from "../debian/process.ts";
import { checkout } from "./assets.ts";

const MODEL = "model:vp9";
/** What a spec may say; the rest of the program's options are guest.ts's own. */
const OPTIONS = ["codec", "fault"];
const STOP_MS = 5000;
/** How much of what it says is kept. */
const LAST_WORDS = 4096;
/** Time that they have to come. */
const LAST_WORDS_MS = 200;

export interface ServedModel extends AsyncDisposable {
  /** Where it is served: vfio-user:/path/to.sock. */
  readonly spec: string;
}

/** Whether a device's spec is a model's. */
export function isModel(spec: string): boolean {
  return spec === MODEL || spec.startsWith(`${MODEL}?`);
}

/** The program's options that a spec asks for. Throws Error: one that is not a spec's to give, or twice the same. */
export function modelOptions(spec: string): string[] {
  const query = [...new URLSearchParams(spec.slice(MODEL.length + 1))];
  return query.map(([name, value], i) => {
    if (!OPTIONS.includes(name))
      throw new Error(`${spec}: ${MODEL} has no option "${name}"; it has ${OPTIONS.join(" and ")}`);
    if (query.findIndex(([other]) => other === name) < i) throw new Error(`${spec}: ${name} is given twice`);
    // In one word, so that a value is never taken for another option.
    return `--${name}=${value}`;
  });
}

/**
 * Starts the server for `model:vp9`, with options as in `model:vp9?codec=null&fault=die@3`; resolves when it takes clients.
 * `log` is told when it ends by itself. Throws Error with what it said when it does not come up.
 */
export async function serveModel(
  spec: string,
  socketPath: string,
  log: (line: string) => void,
): Promise<ServedModel> {
  const options = modelOptions(spec);
  const program = join(checkout, "scripts/model.ts");
  // It ends with this process, however that ends; --heir: when it is killed itself, the guest lives on.
  const own = [process.execPath, "--no-env-file", "--config=/dev/null", program]; // not the folder's settings
  const words = [findTool("setpriv"), "--pdeathsig", "TERM", ...own];
  const server = Bun.spawn([...words, "--socket", socketPath, "--heir", ...options], {
    detached: true, // the terminal's Ctrl-C is ours to handle
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  let said = "";
  const reader = server.stderr.getReader();
  const decoder = new TextDecoder();
  while (!said.includes(`vfio-user:${socketPath}`)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${spec} did not start: ${said.trim()}`);
    said += decoder.decode(value, { stream: true });
  }
  said = "";
  const silence = (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      said = (said + decoder.decode(value, { stream: true })).slice(-LAST_WORDS);
    }
  })();
  let ending = false;
  void server.exited.then(async (exitCode) => {
    // Its heir has its standard error, too, so that may go on.
    await Promise.race([silence, Bun.sleep(LAST_WORDS_MS)]);
    if (ending) return;
    const how = server.signalCode ?? `exit code ${exitCode}`;
    const rest = exitCode === 0 ? "" : ": a dead device to the guest from now on";
    // Who is killed has no last words.
    const words = server.signalCode ? "" : said.trim();
    log([`${spec} has ended (${how})${rest}`, words].filter(Boolean).join("\n"));
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
