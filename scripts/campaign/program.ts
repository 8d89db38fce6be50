/** Programs of vfiokit as processes, for campaigns: every process of one is found again, and none is left behind. */
import { join, resolve } from "node:path";
import { openFds } from "./open-files.ts";
import { commandOf, processesWith } from "./processes.ts";

/** A variable that every process of a program inherits, and by which it is found. */
const MARK = "VFIOKIT_CAMPAIGN_RUN";
const root = resolve(import.meta.dir, "../..");
let started = 0;

export interface Exit {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly signal: string | number | null;
}

export interface ProgramOptions {
  /** Its working folder, and where it has its temporary files. */
  readonly folder: string;
  readonly temporary: string;
  readonly stdin?: "ignore" | "pipe" | number;
  readonly stdout?: "ignore" | "pipe" | number;
}

/** A running program. Disposing of it kills what is left of it. */
export interface Program extends AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly running: boolean;
  /** With `stdin: "pipe"`. */
  readonly stdin: Bun.FileSink;
  /** With `stdout: "pipe"`; never read if nobody does. */
  readonly stdout: ReadableStream<Uint8Array>;
  /** What it and its processes have said on standard error so far. */
  readonly said: string;
  /** Processes of it whose command line has `part`. */
  find(part?: string): number[];
}

/** Starts `scripts/VERB`, in a process group of its own. */
export function startProgram(verb: string, words: readonly string[], options: ProgramOptions): Program {
  const { folder, temporary, stdin = "ignore", stdout = "ignore" } = options;
  const mark = `${process.pid}-${++started}`;
  const child = Bun.spawn([process.execPath, join(root, "scripts", verb), ...words], {
    cwd: folder,
    env: { ...process.env, [MARK]: mark, TMPDIR: temporary, NO_COLOR: "1", NODE_ENV: undefined },
    stdio: [stdin, stdout, "pipe"],
    detached: true,
  });
  let said = "";
  const read = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stderr) said += decoder.decode(bytes, { stream: true });
  })();
  read.catch(() => {});
  const find = (part = "") => processesWith(`${MARK}=${mark}`).filter((pid) => commandOf(pid).includes(part));
  return {
    pid: child.pid,
    exited: child.exited.then(async () => {
      // Its last words; its processes may hold the pipe open for longer.
      await Promise.race([read, Bun.sleep(200)]);
      const { exitCode, signalCode } = child;
      return { code: signalCode === null ? exitCode : null, signal: signalCode };
    }),
    get running() {
      return child.exitCode === null && child.signalCode === null;
    },
    stdin: child.stdin as unknown as Bun.FileSink,
    stdout: child.stdout as unknown as ReadableStream<Uint8Array>,
    get said() {
      return said;
    },
    find,
    async [Symbol.asyncDispose]() {
      // Twice: a process may have been starting another one.
      for (let round = 0; round < 2; round++) for (const pid of find()) sendSignal(pid, "SIGKILL");
      await child.exited;
    },
  };
}

/** Signals a process; false if it is gone. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Waits until no process of the program is left. Throws Error that names those that are. */
export async function expectGone(program: Program, what: string, limitMs: number): Promise<void> {
  await until(
    () => program.find().length === 0,
    limitMs,
    () => `${what} left processes: ${program.find().map(commandOf).join("; ")}`,
  );
}

/** Its exit. Throws Error if it does not end. */
export function exitOf(program: Program, what: string, limitMs: number): Promise<Exit> {
  return within(program.exited, limitMs, () => `${what} did not end within ${limitMs} ms: ${program.said}`);
}

/** The result of work that must end in time. Throws Error with `words` if it does not. */
export async function within<T>(work: Promise<T>, limitMs: number, words: () => string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(words())), limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for a condition. Throws Error with `words` if it does not come true in time. */
export async function until(condition: () => boolean, limitMs: number, words: () => string): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(words());
    await Bun.sleep(2);
  }
}

const UNWANTED = /\binternal error\b|^\s+at .+:\d+:\d+\)?$|\bpanic\b|Segmentation fault|Unhandled/m;

/** Throws Error if a program said what no user should see: a stack trace, a crash. */
export function expectNoCrash(said: string): void {
  if (UNWANTED.test(said)) throw new Error(`it crashed, or shows its insides: ${said}`);
}

/** Descriptors and memory of this process, which must not grow with the runs. */
export function ownFigures() {
  return {
    descriptors: openFds("self"),
    "MiB of memory": Math.round(process.memoryUsage.rss() / 2 ** 20),
  };
}
