/** Sends a case's signals at its moment. */
import { statSync } from "node:fs";
import { type Program, sendSignal, until } from "../program.ts";
import type { KillSignal, Moment, Signals } from "./case.ts";

/** Whom a signal was sent to while it ran. */
export interface Sent {
  readonly signal: KillSignal;
  readonly to: readonly number[];
  /** Bytes in the output then; -1 before it was there. */
  readonly outputBytes: number;
}

const MOMENT_MS = 20_000;

/**
 * @param bytesOf an output's size when it has so many frames
 * @returns what was sent; less than all signals if the program ended before
 */
export async function sendAll(
  program: Program,
  targets: () => readonly number[],
  { signals, moment }: { readonly signals: Signals; readonly moment: Moment },
  output: { readonly path: string; bytesOf(frames: number): number },
): Promise<Sent[]> {
  if ("ms" in moment) await Promise.race([Bun.sleep(moment.ms), program.exited]);
  else {
    const bytes = output.bytesOf(moment.frames);
    await until(
      () => !program.running || sizeOf(output.path) >= bytes,
      MOMENT_MS,
      () => `the output has ${sizeOf(output.path)} bytes, and never ${bytes}: ${program.said}`,
    );
  }
  const sent: Sent[] = [];
  let stopped: readonly number[] = [];
  for (const { signal, afterMs } of signals) {
    // One that is stopped does not end by itself.
    if (afterMs > 0)
      await (stopped.length > 0 ? Bun.sleep(afterMs) : Promise.race([Bun.sleep(afterMs), program.exited]));
    const pids = stopped.length > 0 ? stopped : targets();
    const outputBytes = sizeOf(output.path);
    const to = pids.filter((pid) => sendSignal(pid, signal));
    if (signal === "SIGSTOP") stopped = to;
    if (signal === "SIGCONT") stopped = [];
    if (to.length > 0) sent.push({ signal, to, outputBytes });
  }
  return sent;
}

export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? -1;
}

/** Whether one of the signals was sent to one of the processes. */
export function reached(sent: readonly Sent[], pids: readonly number[], ...signals: KillSignal[]): boolean {
  return sent.some(({ signal, to }) => signals.includes(signal) && to.some((pid) => pids.includes(pid)));
}
