/** Runs scripts as users do: `bun run encode.ts ...` from the repository, with `bun` found as npx finds it. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { commandOf, processesWith } from "../../scripts/campaign/processes.ts";

export const ROOT = resolve(import.meta.dir, "../..");
/** `bun` comes from node_modules/.bin, as under npx; the other programs from the system. */
const PATH = `${join(ROOT, "node_modules/.bin")}:/usr/bin:/bin`;
/** A variable that every process of a run inherits, and by which it is found again. */
const MARK = "VFIOKIT_TEST_RUN";
let runs = 0;

export interface Ended {
  readonly exitCode: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

export interface Running {
  /** The run's standard input, for as long as nothing else is given. */
  readonly stdin: Bun.FileSink;
  /** Signals every process of the run, as Ctrl-C on a terminal does. */
  signalGroup(signal: NodeJS.Signals): void;
  /** Process ids of those in the run whose command line has `part`. */
  find(part: string): number[];
  /** Waits for the end; throws when any process of the run outlives it. */
  ended(): Promise<Ended>;
}

/** Starts a command from the repository's root in a process group of its own. Tests' own NODE_ENV is not a user's. */
export function start(command: string[], options: { readonly stdin?: "ignore" | "pipe" } = {}): Running {
  const mark = `${process.pid}-${++runs}`;
  const child = Bun.spawn(command, {
    cwd: ROOT,
    env: { ...process.env, PATH, [MARK]: mark, NO_COLOR: "1", NODE_ENV: undefined },
    stdio: [options.stdin ?? "ignore", "pipe", "pipe"],
    detached: true,
  });
  const output = Promise.all([new Response(child.stdout).bytes(), new Response(child.stderr).text()]);
  const find = (part: string) =>
    processesWith(`${MARK}=${mark}`).filter((pid) => commandOf(pid).includes(part));
  return {
    stdin: child.stdin as unknown as Bun.FileSink,
    signalGroup: (signal) => process.kill(-child.pid, signal),
    find,
    ended: async () => {
      const [stdout, stderr] = await output;
      const exitCode = await child.exited;
      try {
        await until(() => find("").length === 0, "every process of the run to be gone");
      } catch (error) {
        const left = find("").map(commandOf).join("\n");
        for (const pid of find("")) process.kill(pid, "SIGKILL");
        throw new Error(`${command.join(" ")} left behind:\n${left}`, { cause: error });
      }
      return { exitCode, stdout, stderr };
    },
  };
}

export function startScript(script: string, ...args: string[]): Running {
  return start(["bun", "run", script, ...args]);
}

/** Runs encode.ts to its end. */
export function encode(...args: string[]): Promise<Ended> {
  return startScript("encode.ts", ...args).ended();
}

/** Runs encode.ts, which must succeed and say nothing but its one JSON object, and gives that. */
export async function encodeJson(...args: string[]): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await encode(...args, "--json");
  const text = new TextDecoder().decode(stdout);
  if (exitCode !== 0 || stderr) throw new Error(`encode.ts ${args.join(" ")}: ${exitCode}\n${stderr}${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}

/** Runs a line of bash, in which `$1`, `$2`... are the arguments; a pipeline fails as its first failing part does. */
export function shell(line: string, ...args: string[]): Promise<Ended> {
  return start(["bash", "-o", "pipefail", "-c", line, "bash", ...args]).ended();
}

/** Waits for a condition that will come true soon; throws when it does not. */
export async function until(condition: () => boolean, what: string, limitMs = 20_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms for ${what}`);
    await Bun.sleep(10);
  }
}

export function sizeOf(file: string): number {
  return existsSync(file) ? Bun.file(file).size : -1;
}
