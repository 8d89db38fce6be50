/** What a process and those that it has started hold: proc(5). */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface Held {
  readonly processes: number;
  /** Resident memory of all of them; what they share counts for each. */
  readonly memoryKiB: number;
  readonly descriptors: number;
}

/** Measures a process and all that descend from it. */
export function heldBy(pid: number): Held {
  const family = familyOf(pid);
  return {
    processes: family.length,
    memoryKiB: sum(family.map(residentKiB)),
    descriptors: sum(family.map(descriptorsOf)),
  };
}

function familyOf(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
    parents.set(Number(name), numberIn(`/proc/${name}/status`, /^PPid:\s+(\d+)$/m));
  const family = [pid];
  for (const one of family) for (const [child, parent] of parents) if (parent === one) family.push(child);
  return family;
}

const residentKiB = (pid: number) => numberIn(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB$/m);

/** Without /proc/PID/statm, which Bun's garbage collector opens for a moment on threads of its own. */
function descriptorsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      try {
        return !/^\/proc\/\d+\/statm$/.test(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false; // closed meanwhile
      }
    }).length;
  } catch {
    return 0; // it has ended
  }
}

/** 0 if the process has ended. */
function numberIn(path: string, pattern: RegExp): number {
  try {
    return Number(pattern.exec(readFileSync(path, "latin1"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
