/** Processes of this machine, by proc(5). */
import { readdirSync, readFileSync } from "node:fs";

/** Ids of the processes that have a variable, "NAME=VALUE", in the environment that they were started with. */
export function processesWith(variable: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && procFile(pid, "environ").split("\0").includes(variable));
}

/** The words of a process's command line, with spaces between them. */
export function commandOf(pid: number): string {
  return procFile(pid, "cmdline").replaceAll("\0", " ");
}

/** Its resident memory in KiB; 0 for one that has ended. */
export function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(procFile(pid, "status"))?.[1] ?? 0);
}

/** Empty for a process that is gone, which may happen at any moment. */
export function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return "";
  }
}
