/**
 * A model as a child process that serves its parent and exits with it: `child.ts FD READY NAME FILE QUERY`.
 * FD is a connected socket. READY is a descriptor that is closed when the model serves, or never will. NAME
 * precedes its messages. It starts in half the time of a verb, because it needs no command line.
 */

import { closeSync } from "node:fs";
import { useOneHeap } from "../../os/heap.ts";
import { startMessageThread } from "./workers.ts";

const [fd, ready, name, file = "", query = ""] = process.argv.slice(2);
useOneHeap();
// All threads load their code at the same time.
const messages = startMessageThread(file);
// Stopping a service signals each process in it. The parent decides when the last frame is out, then hangs up.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
try {
  const { startModel } = await import("./process.ts");
  const model = await startModel(
    {
      model: { file, query },
      clients: { connectionFd: Number(fd) },
      // Its client, which started it, knows the rest.
      log: (line, about) => {
        if (about === "device") console.error(`${name}: ${line}`);
      },
      notice: (line) => console.error(`${name}: ${line}`),
    },
    messages,
  );
  closeSync(Number(ready));
  await model.ended;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
process.exit();
