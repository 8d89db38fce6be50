/** Lines of a process's output. One of them says that its model is up; a model may print others. */

import { MAX_LINE_CHARACTERS, MAX_STARTING_LINES } from "../limits.ts";

/** How that line begins. */
export const UP = "\u0001vfiokit model: ";

/** Calls `take` with each line, until it returns false or the stream ends. */
export async function eachLine(
  stream: ReadableStream<Uint8Array>,
  take: (line: string) => boolean,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (; rest.length > MAX_LINE_CHARACTERS; rest = rest.slice(MAX_LINE_CHARACTERS))
      lines.push(rest.slice(0, MAX_LINE_CHARACTERS));
    for (const line of lines)
      for (let at = 0; at === 0 || at < line.length; at += MAX_LINE_CHARACTERS)
        if (!take(line.slice(at, at + MAX_LINE_CHARACTERS))) return;
  }
}

/**
 * `up` resolves with the rest of the line that begins with UP, or undefined if the output ends without it; `ended` resolves
 * when the output ends. `other` gets the other lines, those after it as well, so that the process never waits for a reader.
 */
export function whenUp(
  output: ReadableStream<Uint8Array>,
  other: (line: string) => void,
): { up: Promise<string | undefined>; ended: Promise<void> } {
  const { promise: up, resolve } = Promise.withResolvers<string | undefined>();
  const ended = eachLine(output, (line) => {
    if (line.startsWith(UP)) resolve(line.slice(UP.length));
    else other(line);
    return true;
  }).finally(() => resolve(undefined));
  return { up, ended };
}

/** Waits for `up` of a process, which is killed if that takes longer than `startMs`; `isLate` says so. */
export async function upWithin(
  startMs: number,
  process: Pick<Bun.Subprocess, "kill">,
  up: Promise<string | undefined>,
): Promise<{ readonly line: string | undefined; readonly isLate: boolean }> {
  let isLate = false;
  const late = setTimeout(() => {
    isLate = true;
    process.kill("SIGKILL");
  }, startMs);
  const line = await up;
  clearTimeout(late);
  return { line, isLate };
}

/** The last lines that a model's process printed before it was up. */
export interface StartingLines {
  add(line: string): void;
  /** Begins with how many are left out, if any are. */
  all(): string[];
}

export function startingLines(): StartingLines {
  const kept: string[] = [];
  let dropped = 0;
  return {
    add(line) {
      kept.push(line);
      if (kept.length <= MAX_STARTING_LINES) return;
      kept.shift();
      dropped++;
    },
    all: () => (dropped > 0 ? [`(${dropped} earlier lines are left out)`, ...kept] : kept),
  };
}
