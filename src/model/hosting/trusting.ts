/**
 * A model that maps whatever memory its clients share, also what they can truncate. Touching what is gone kills the process
 * that does it (SIGBUS), so it serves in a child, and whenever that is killed so, another one takes the next client. The
 * listening socket is held here: clients that come meanwhile wait.
 */

import { bunProgram, ownFile } from "../../os/bun-program.ts";
import { listenPrivately } from "./private-socket.ts";
import type { RunningModel, StartOptions } from "./process.ts";

export type TrustingOptions = Omit<StartOptions, "clients" | "trusting"> & {
  readonly clients: { readonly socketPath: string; readonly standby?: boolean };
};

/** What Bun says of its own end begins so. */
const CRASH = "=====";

/** As startModel; `ended` rejects where the child ends of anything else than memory that is gone. */
export async function startTrustingModel(options: TrustingOptions): Promise<RunningModel> {
  const { clients, log } = options;
  const listener = listenPrivately(clients.socketPath);
  process.once("exit", () => listener[Symbol.dispose]()); // also when it ends before the child has started
  let stopped = false;
  try {
    let child = await startChild(options, listener.fd.number);
    const serve = async () => {
      for (;;) {
        await child.exited;
        if (stopped) return;
        if (child.signalCode !== "SIGBUS")
          throw new Error(`the model's process ended (${child.signalCode ?? `exit code ${child.exitCode}`})`);
        log(
          "memory that the client had shared is gone, and the model's process with it; starting another one",
        );
        child = await startChild(options, listener.fd.number);
        if (stopped) child.stop();
      }
    };
    return {
      title: child.title,
      about: child.about,
      ended: serve().finally(() => listener[Symbol.dispose]()),
      stop: () => {
        stopped = true;
        child.stop();
      },
    };
  } catch (error) {
    listener[Symbol.dispose]();
    throw error;
  }
}

/** Resolves when it takes clients. Throws Error with what it said when it does not come up. */
async function startChild({ clients, model, log }: TrustingOptions, listenerFd: number) {
  const program = ownFile("./trusting-child.ts", import.meta.url);
  const words = ["3", model.file, model.query, clients.standby ? "standby" : ""];
  const child = Bun.spawn([...bunProgram(program), ...words], {
    stdio: ["pipe", "pipe", "pipe", listenerFd],
    detached: true, // the terminal's Ctrl-C is for the starting process
  });
  const said: string[] = [];
  let started = false;
  const listening = eachLine(child.stderr, (line) => {
    if (line.startsWith(CRASH)) return false;
    if (started) log(line);
    else said.push(line);
    return true;
  });
  let first: string | undefined;
  await eachLine(child.stdout, (line) => {
    first = line;
    return false;
  });
  if (first === undefined) {
    await listening;
    throw new Error(said.join("\n") || `the model's process did not start (exit code ${await child.exited})`);
  }
  started = true;
  for (const line of said) log(line); // what it fetched first, or falls back to
  return {
    ...(JSON.parse(first) as Pick<RunningModel, "title" | "about">),
    exited: child.exited,
    get signalCode() {
      return child.signalCode;
    },
    get exitCode() {
      return child.exitCode;
    },
    /** It ends with its standard input. */
    stop: () => void child.stdin.end(),
  };
}

/** Calls `take` with each line until that returns false or the stream ends. */
async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => boolean): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (!take(line)) return;
  }
}
