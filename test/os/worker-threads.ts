import { readdirSync, readFileSync } from "node:fs";

/** How many threads of Workers this process has: Bun names them so. */
export const workerThreads = () =>
  readdirSync("/proc/self/task").filter((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, "latin1").startsWith("Worker");
    } catch {
      return false; // it ended in between
    }
  }).length;
