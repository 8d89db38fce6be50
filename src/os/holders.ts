/** Which processes have a file open: what lsof(8) would say. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface Holder {
  readonly pid: number;
  /** Its command's name, from /proc/PID/comm. */
  readonly command: string;
}

/** The processes that have `path` (as the kernel spells it) open, as far as this user may see. */
export function findHolders(path: string): Holder[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => holds(pid, path)).map((pid) => ({ pid: Number(pid), command: nameOf(pid) }));
}

/** "dd (4711), bun (4712)" for a message; says so where this user may not see who it is. */
export function describeHolders(path: string): string {
  const holders = findHolders(path).filter(({ pid }) => pid !== process.pid);
  if (holders.length > 0) return holders.map(({ pid, command }) => `${command} (${pid})`).join(", ");
  return findHolders(path).length > 0 ? "this process itself" : "a process that this user can't see";
}

function holds(pid: string, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === path;
      } catch {
        return false;
      }
    });
  } catch {
    // Ended meanwhile, or not this user's.
    return false;
  }
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "ended";
  }
}
