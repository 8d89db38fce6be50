/** Names what a path is, for errors. */
import type { Stats } from "node:fs";

export function kindOf(stats: Stats): string {
  if (stats.isFile()) return "file";
  if (stats.isSymbolicLink()) return "symbolic link";
  if (stats.isDirectory()) return "folder";
  if (stats.isFIFO()) return "pipe (FIFO)";
  if (stats.isSocket()) return "socket";
  return "device node";
}
