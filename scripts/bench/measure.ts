/** Measures whole commands: their time, and the resources of all their processes. */
import { readFileSync } from "node:fs";
import { interrupted } from "../cli/interrupt.ts";
import type { Figures } from "./case.ts";

const SAMPLE_MS = 50;
/** Time limit of one run. */
const TIMEOUT_MS = 120_000;
/** USER_HZ, which is 100 in /proc on every Linux. */
const TICKS_PER_SECOND = 100;

/**
 * Runs a command to its end: `time` in seconds, `CPU` in seconds of all its processes, `memory` in MiB, the sum of its
 * processes' peaks. CPU and memory are sampled, so the last milliseconds of a process may be missing. Throws Error with its
 * standard error if it ends with another exit code.
 */
export async function wholeCommand(command: readonly string[], exitCodes = [0]): Promise<Figures> {
  const started = Bun.nanoseconds();
  const child = Bun.spawn([...command], { stdio: ["ignore", "ignore", "pipe"], timeout: TIMEOUT_MS });
  const errors = new Response(child.stderr).text();
  const uses = new Map<number, Use>();
  const sampler = setInterval(() => sample(child.pid, uses), SAMPLE_MS);
  const exitCode = await child.exited;
  const time = (Bun.nanoseconds() - started) / 1e9;
  clearInterval(sampler);
  if (!exitCodes.includes(exitCode))
    throw new Error(`${command.join(" ")}: exit code ${exitCode}: ${await errors}`);
  const sum = (of: (use: Use) => number) => [...uses.values()].reduce((all, use) => all + of(use), 0);
  return { time, CPU: sum((use) => use.cpuSeconds), memory: sum((use) => use.peakMiB) };
}

interface RunSettings {
  readonly cwd?: string;
  /** Added to this process's. */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Runs a command to its end, or until Ctrl-C; gives its standard output. Throws Error with all that it said if it fails. */
export async function outputOf(command: readonly string[], settings: RunSettings = {}): Promise<string> {
  return await run(command, settings, () => {});
}

/**
 * Runs a command to its end; gives the seconds until it had printed a line. Throws Error with all that it said if it fails, or
 * never prints it.
 */
export async function secondsUntil(
  line: string,
  command: readonly string[],
  settings: RunSettings,
): Promise<number> {
  const started = Bun.nanoseconds();
  let seconds: number | undefined;
  const output = await run(command, settings, (printed) => {
    if (printed.split(/\r*\n/).includes(line)) seconds ??= (Bun.nanoseconds() - started) / 1e9;
  });
  if (seconds === undefined) throw new Error(`${command.join(" ")} did not print "${line}": ${output}`);
  return seconds;
}

/** `look` gets all that was printed so far, whenever there is more. */
async function run(
  command: readonly string[],
  { cwd, env, timeoutMs = TIMEOUT_MS }: RunSettings,
  look: (printed: string) => void,
): Promise<string> {
  const child = Bun.spawn([...command], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: timeoutMs,
    signal: interrupted,
    env: { ...process.env, ...env },
    ...(cwd !== undefined && { cwd }),
  });
  const errors = new Response(child.stderr).text();
  const decoder = new TextDecoder();
  let printed = "";
  for await (const chunk of child.stdout) {
    printed += decoder.decode(chunk, { stream: true });
    look(printed);
  }
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed: ${await errors}${printed}`);
  return printed;
}

/** Runs a command that measures itself, and prints its figures as one JSON object. Throws Error if it fails. */
export async function printedBy(command: readonly string[], timeoutMs = TIMEOUT_MS): Promise<Figures> {
  return JSON.parse(await outputOf(command, { timeoutMs })) as Figures;
}

/** What one process used so far. */
interface Use {
  readonly cpuSeconds: number;
  readonly peakMiB: number;
}

/**
 * Samples a process and its descendants: proc(5), stat, status and children. It reads nothing else, because the machine is
 * being measured.
 */
function sample(pid: number, into: Map<number, Use>): void {
  const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, "latin1");
  try {
    // Fields after the parenthesised name: state, ... user and system ticks are the 12th and 13th.
    const fields = read("stat").split(") ").at(-1)!.split(" ");
    const peakKiB = /^VmHWM:\s+(\d+)/m.exec(read("status"))?.[1];
    if (peakKiB === undefined) return;
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    into.set(pid, { cpuSeconds, peakMiB: Number(peakKiB) / 1024 });
    for (const child of read(`task/${pid}/children`).split(" "))
      if (child !== "") sample(Number(child), into);
  } catch {
    // The process has exited; its last sample stands.
  }
}
