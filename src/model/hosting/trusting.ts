/**
 * A model that maps all memory that its clients share, even if they can truncate it. An access to truncated
 * memory kills the process (SIGBUS), so the model serves in a child. When SIGBUS kills the child, another one
 * accepts the next client. This process holds the listening socket, so clients that connect in between wait.
 */

import { bunProgram, ownFile } from "../../os/bun-program.ts";
import { LAST_WORDS_MS, PROCESS_STOP_MS, START_MS } from "../limits.ts";
import { eachLine, startingLines, upWithin, whenUp } from "./lines.ts";
import { listenPrivately } from "./private-socket.ts";
import type { RunningModel, StartOptions } from "./process.ts";

/** Options for `startTrustingModel`. */
export type TrustingOptions = Omit<StartOptions, "clients" | "trusting"> & {
  readonly clients: { readonly socketPath: string; readonly standby?: boolean };
};

/** Bun's report of its own crash begins like this. */
const CRASH = "=====";

/** Like startModel; `ended` rejects if the child exits for any reason but truncated memory. */
export function startTrustingModel(options: TrustingOptions): Promise<RunningModel> {
  return startTrustingWithin(START_MS, options);
}

/** startTrustingModel with another time to start. */
export async function startTrustingWithin(startMs: number, options: TrustingOptions): Promise<RunningModel> {
  const { clients, log } = options;
  const listener = listenPrivately(clients.socketPath);
  const close = () => {
    process.off("exit", close);
    listener[Symbol.dispose]();
  };
  process.once("exit", close); // even if it exits before the child has started
  let stopped = false;
  try {
    let child = await startChild(options, listener.fd.number, startMs);
    const serve = async () => {
      for (;;) {
        await child.exited;
        if (stopped) return;
        if (child.signalCode !== "SIGBUS")
          throw new Error(`the model's process ended (${child.signalCode ?? `exit code ${child.exitCode}`})`);
        log(
          "memory that the client shared has gone away, and that killed the model's process; starting another one",
        );
        child = await startChild(options, listener.fd.number, startMs);
        if (stopped) child.stop();
      }
    };
    const ended = serve().finally(close);
    ended.catch(() => {}); // its caller may not await it
    return {
      title: child.title,
      about: child.about,
      ended,
      stop: () => {
        stopped = true;
        child.stop();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** Resolves when the child accepts clients. Throws Error with its output if it does not start. */
async function startChild({ clients, model, log }: TrustingOptions, listenerFd: number, startMs: number) {
  const program = ownFile("./trusting-child.ts", import.meta.url);
  const words = ["3", model.file, model.query, clients.standby ? "standby" : ""];
  const child = Bun.spawn([...bunProgram(program), ...words], {
    stdio: ["pipe", "pipe", "pipe", listenerFd],
    detached: true, // the terminal's Ctrl-C is for the starting process
  });
  const said = startingLines();
  let started = false;
  const listening = eachLine(child.stderr, (line) => {
    if (line.startsWith(CRASH)) return false;
    if (started) log(line);
    else said.add(line);
    return true;
  });
  const output = whenUp(child.stdout, (line) => {
    if (started) log(line);
    else said.add(line);
  });
  const { line, isLate } = await upWithin(startMs, child, output.up);
  if (line === undefined) {
    const exitCode = await child.exited;
    await Promise.race([listening, Bun.sleep(LAST_WORDS_MS)]);
    if (isLate) said.add(`the model did not start within ${startMs / 1000} s, and was ended`);
    throw new Error(said.all().join("\n") || `the model's process did not start (exit code ${exitCode})`);
  }
  started = true;
  for (const line of said.all()) log(line); // what it fetched first, or fell back to
  return {
    ...(JSON.parse(line) as Pick<RunningModel, "title" | "about">),
    exited: child.exited,
    get signalCode() {
      return child.signalCode;
    },
    get exitCode() {
      return child.exitCode;
    },
    /** The child exits when its standard input ends. */
    stop: () => {
      void child.stdin.end();
      const tooLong = setTimeout(() => child.kill("SIGKILL"), PROCESS_STOP_MS);
      void child.exited.then(() => clearTimeout(tooLong));
    },
  };
}
