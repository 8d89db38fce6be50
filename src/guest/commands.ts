/** Runs commands in a guest, a few at the same time. */

import { within } from "../os/within.ts";
import type { Booted } from "./boot.ts";
import { GuestError } from "./failure.ts";
import { ANSWER_MS, MAX_OUTPUT_BYTES } from "./limits.ts";
import type { Job, Session } from "./session.ts";
import type { ByteSink, Input } from "./streams.ts";

/** How a command runs in a guest. */
export interface RunOptions {
  /** Standard input: text, bytes, or a stream of bytes. Default: empty. */
  stdin?: Input | undefined;
  /** Get the output as it comes. Without one the result has that stream's output as text, of at most 64 MiB. */
  onStdout?: ByteSink | undefined;
  onStderr?: ByteSink | undefined;
  /** Time for the command; without one it may take any. */
  timeoutMs?: number | undefined;
  /** Ends the command. */
  signal?: AbortSignal | undefined;
  /** Who runs it: a user of the guest, such as "user", which is unprivileged. Default: root. */
  user?: string | undefined;
  /** The working directory, as a path in the guest. Default: the project's folder. */
  cwd?: string | undefined;
}

/** How a command ended. */
export interface RunResult {
  /** 128 + N after signal N, and 127 if there is no such program: both as in a shell. */
  exitCode: number;
  /** Empty if a function got it. */
  stdout: string;
  stderr: string;
  /** From the command's start in the guest to its end. */
  durationMs: number;
}

/** The command's start, besides RunOptions; only runGuest needs these. */
export interface Start {
  columns?: number;
  onStart?: () => void;
}

/** The only form of exit code that is accepted from a guest. */
const EXIT_CODE = /^\d{1,3}$/;

export type Runner = (
  command: readonly string[],
  options: RunOptions & Start & { cwd: string },
) => Promise<RunResult>;

export function commandRunner(booted: Booted): Runner {
  let dead: GuestError | undefined;
  void booted.died.then((error) => {
    dead = error;
  });
  const idle = [...booted.sessions];
  const waiting: ((session: Session) => void)[] = [];
  const release = (session: Session) => {
    const next = waiting.shift();
    if (next) next(session);
    else idle.push(session);
  };
  /** Waits for a session if all are in use. Undefined if `cut` resolves first. */
  async function acquire(cut: Promise<unknown>): Promise<Session | undefined> {
    const session = idle.shift();
    if (session !== undefined) return session;
    const { promise, resolve } = Promise.withResolvers<Session>();
    waiting.push(resolve);
    const got = await Promise.race([promise, cut.then(() => undefined)]);
    const at = waiting.indexOf(resolve);
    if (at >= 0) waiting.splice(at, 1);
    else if (got === undefined) release(await promise);
    return got;
  }

  return async (
    command,
    { stdin, onStdout, onStderr, timeoutMs, signal, user, cwd, columns = 0, onStart },
  ) => {
    const [program] = command;
    if (program === undefined)
      throw new TypeError("run: the command is empty; its first word is the program");
    signal?.throwIfAborted();
    if (dead) throw dead;
    const { promise: cut, resolve: end } = Promise.withResolvers<Error>();
    const abort = () => end(signal!.reason as Error);
    const late = () => {
      const limit = `${command.join(" ")} did not end within ${timeoutMs! / 1000} s in the guest, and was killed`;
      end(
        new GuestError(booted.explain(limit), `killed a command after ${timeoutMs! / 1000} s`, "timed-out"),
      );
    };
    signal?.addEventListener("abort", abort, { once: true });
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    void booted.died.then(end);
    const done = booted.begin();
    try {
      const session = await acquire(cut);
      if (session === undefined) throw await cut;
      const stdout = textSink("stdout", onStdout);
      const stderr = textSink("stderr", onStderr);
      const job: Job = { command, folder: cwd, user, columns };
      let startMs = performance.now();
      const start = () => {
        startMs = performance.now();
        onStart?.();
      };
      const streams = { input: stdin, onStdout: stdout.sink, onStderr: stderr.sink, onStart: start };
      let line: string | undefined;
      try {
        line = await session.run(job, streams, cut);
      } finally {
        const freed = session.freed().then(() => release(session));
        // After an early end no process of the command is left, unless the kernel can't end it.
        if (line === undefined) await within(ANSWER_MS, freed);
      }
      if (line === undefined) throw await cut;
      if (!EXIT_CODE.test(line)) {
        booted.fail({ reason: `gave ${JSON.stringify(line)} for the command's exit code` });
        throw await booted.died;
      }
      const durationMs = performance.now() - startMs;
      return { exitCode: Number(line), stdout: stdout.text(), stderr: stderr.text(), durationMs };
    } finally {
      done();
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  };
}

/** The given sink; without one, a sink that collects text, and throws GuestError at more than it may. */
export function textSink(
  name: "stdout" | "stderr",
  given: ByteSink | undefined,
): { sink: ByteSink; text: () => string } {
  if (given) return { sink: given, text: () => "" };
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  return {
    sink: (bytes) => {
      sizeBytes += bytes.byteLength;
      if (sizeBytes <= MAX_OUTPUT_BYTES) chunks.push(bytes);
      else {
        const reason = `had a command that wrote more than ${MAX_OUTPUT_BYTES} bytes to its ${name}`;
        const option = name === "stdout" ? "onStdout" : "onStderr";
        throw new GuestError(
          `the guest ${reason}, and run collects no more; ${option} takes any number`,
          reason,
        );
      }
    },
    text: () => Buffer.concat(chunks).toString(),
  };
}
