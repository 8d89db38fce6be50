/** Measures whole commands: their time, and the resources of each of their processes. */
import { readdirSync, readFileSync } from "node:fs";

/** One process of a command. Sampled, so the last few milliseconds of a process may be missing. */
export interface ProcessUse {
  /** Its command line's program and script. */
  readonly name: string;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
}

export interface Run {
  readonly wallSeconds: number;
  readonly processes: readonly ProcessUse[];
}

const SAMPLE_MS = 20;
/** Time limit of one run. */
const TIMEOUT_MS = 120_000;
/** USER_HZ, which is 100 in /proc on every Linux. */
const TICKS_PER_SECOND = 100;

/** Runs a command to its end. Throws Error with its standard error if it fails. */
export async function runCommand(command: readonly string[]): Promise<Run> {
  const started = Bun.nanoseconds();
  const child = Bun.spawn([...command], { stdio: ["ignore", "ignore", "pipe"], timeout: TIMEOUT_MS });
  const errors = new Response(child.stderr).text();
  const seen = new Map<number, ProcessUse>();
  const sampler = setInterval(() => sample(child.pid, seen), SAMPLE_MS);
  const exitCode = await child.exited;
  const wallSeconds = (Bun.nanoseconds() - started) / 1e9;
  clearInterval(sampler);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit code ${exitCode}: ${await errors}`);
  return { wallSeconds, processes: [...seen.values()] };
}

/** Samples the resources that a process and its descendants have used so far: proc(5), stat and status. */
function sample(root: number, into: Map<number, ProcessUse>): void {
  const family = new Set([root]);
  for (const pid of readdirSync("/proc").map(Number).filter(Boolean)) {
    try {
      // Fields after the parenthesised name: state, parent's pid, ... user and system ticks are the 12th and 13th.
      const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ");
      if (family.has(Number(fields[1]))) family.add(pid);
      if (!family.has(pid)) continue;
      const peakKiB = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (peakKiB === undefined || !words[0]) continue;
      const name = [words[0], words[1]?.endsWith(".ts") ? words[1] : ""]
        .map((word) => word.split("/").at(-1))
        .join(" ")
        .trim();
      const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
      into.set(pid, { name, cpuSeconds, peakMiB: Number(peakKiB) / 1024 });
    } catch {
      // The process has exited; its last sample stands.
    }
  }
}
