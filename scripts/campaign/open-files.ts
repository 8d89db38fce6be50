import { readdirSync, readlinkSync } from "node:fs";

/**
 * The files that a process has open, one for each descriptor. Leaves out the listing's own, and /proc/<pid>/statm, which
 * Bun's garbage collector reads for a moment whenever it runs, on threads of its own.
 */
export function openFiles(pid: number | "self"): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      const file = readlinkSync(`${folder}/${fd}`);
      return /^\/proc\/\d+\/statm$/.test(file) ? [] : [file];
    } catch {
      return []; // it was closed between the two calls
    }
  });
}

/** How many files a process has open, without those that openFiles leaves out. */
export const openFds = (pid: number | "self") => openFiles(pid).length;
