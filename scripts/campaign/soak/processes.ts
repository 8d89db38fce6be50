/** What a process and those that it has started hold: proc(5). */
import { readdirSync } from "node:fs";
import { openFds } from "../open-files.ts";
import { procFile, residentKiB } from "../processes.ts";

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
    parents.set(Number(name), Number(/^PPid:\s+(\d+)$/m.exec(procFile(Number(name), "status"))?.[1]));
  const family = [pid];
  for (const one of family) for (const [child, parent] of parents) if (parent === one) family.push(child);
  return family;
}

/** 0 for a process that has ended. */
function descriptorsOf(pid: number): number {
  try {
    return openFds(pid);
  } catch {
    return 0;
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
