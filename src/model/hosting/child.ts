/**
 * A model as a child process that serves its parent and ends with it: `child.ts FD READY NAME FILE QUERY`, FD a connected
 * socket, READY a descriptor that is closed when it is served, or never will be; NAME stands before what it says. Starts in
 * half the time of a verb, since it needs no command line.
 */
import { closeSync } from "node:fs";
import { startMessageThread } from "./workers.ts";

const [fd, ready, name, file = "", query = ""] = process.argv.slice(2);
// All threads load what they need at the same time.
const messages = startMessageThread(file);
// Whoever ends a whole service signals each process; the parent decides when the last frame is out, and then hangs up.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
try {
  const { startModel } = await import("./process.ts");
  const model = await startModel(
    {
      model: { file, query },
      clients: { connectionFd: Number(fd) },
      log: () => {},
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
