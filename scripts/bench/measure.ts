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
}

/** Runs a command to its end, or until Ctrl-C; gives its standard output. Throws Error with all that it said if it fails. */
export async function outputOf(command: readonly string[]): Promise<string> {
  return (await outputAndTime(command)).output;
}

/** Runs a command to its end; gives the seconds until its first output. Throws Error with all that it said if it fails. */
export async function firstOutput(command: readonly string[], settings: RunSettings): Promise<number> {
  const { firstSeconds } = await outputAndTime(command, settings);
  if (firstSeconds === undefined) throw new Error(`${command.join(" ")} printed nothing`);
  return firstSeconds;
}

async function outputAndTime(command: readonly string[], { cwd, env }: RunSettings = {}) {
  const started = Bun.nanoseconds();
  const child = Bun.spawn([...command], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TIMEOUT_MS,
    signal: interrupted,
    env: { ...process.env, ...env },
    ...(cwd !== undefined && { cwd }),
  });
  const errors = new Response(child.stderr).text();
  let firstSeconds: number | undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of child.stdout) {
    firstSeconds ??= (Bun.nanoseconds() - started) / 1e9;
    chunks.push(chunk);
  }
  const output = Buffer.concat(chunks).toString();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed: ${await errors}${output}`);
  return { output, firstSeconds };
}

/** Runs a command that measures itself, and prints its figures as one JSON object. Throws Error if it fails. */
export async function printedBy(command: readonly string[]): Promise<Figures> {
  return JSON.parse(await outputOf(command)) as Figures;
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
