/** Measures whole commands: their time, and the resources of all their processes. */
import { readdirSync, readFileSync } from "node:fs";
import type { Figures } from "./case.ts";

const SAMPLE_MS = 10;
/** Time limit of one run. */
const TIMEOUT_MS = 120_000;

/**
 * Runs a command to its end: `time` in seconds, `CPU` in seconds of all its processes, `memory` in MiB, the sum of its
 * processes' peaks. Memory is sampled, so the last milliseconds of a process may be missing. Throws Error with its standard
 * error if it ends with another exit code.
 */
export async function wholeCommand(command: readonly string[], exitCodes = [0]): Promise<Figures> {
  const started = Bun.nanoseconds();
  const child = Bun.spawn([...command], { stdio: ["ignore", "ignore", "pipe"], timeout: TIMEOUT_MS });
  const errors = new Response(child.stderr).text();
  const peaks = new Map<number, number>();
  const sampler = setInterval(() => sample(child.pid, peaks), SAMPLE_MS);
  const exitCode = await child.exited;
  const time = (Bun.nanoseconds() - started) / 1e9;
  clearInterval(sampler);
  if (!exitCodes.includes(exitCode))
    throw new Error(`${command.join(" ")}: exit code ${exitCode}: ${await errors}`);
  const usage = child.resourceUsage()!; // with the children that it waited for: getrusage(2)
  const memory = [...peaks.values()].reduce((sum, peak) => sum + peak, usage.maxRSS / 1024 ** 2);
  return { time, CPU: Number(usage.cpuTime.total) / 1e6, memory };
}

/** Runs a command that measures itself, and prints its figures as one JSON object. Throws Error if it fails. */
export async function printedBy(command: readonly string[]): Promise<Figures> {
  const child = Bun.spawn([...command], { stdio: ["ignore", "pipe", "pipe"], timeout: TIMEOUT_MS });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed: ${errors}${output}`);
  return JSON.parse(output) as Figures;
}

/** Takes the peak memory in MiB of a process's descendants: proc(5), stat and status. */
function sample(root: number, into: Map<number, number>): void {
  const family = new Set([root]);
  for (const pid of readdirSync("/proc").map(Number).filter(Boolean)) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ");
      if (!family.has(Number(fields[1]))) continue;
      family.add(pid);
      const peakKiB = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
      if (peakKiB !== undefined) into.set(pid, Number(peakKiB) / 1024);
    } catch {
      // The process has exited; its last sample stands.
    }
  }
}
