/**
 * The model as a child process that serves its parent and ends with it: `child.ts FD READY CODEC FAULTS`, FD a connected
 * socket, READY a descriptor that is closed when it is served, or never will be. Starts in half the time of scripts/model.ts, since it needs no command line.
 */
import { closeSync } from "node:fs";
import type { CodecName } from "../codec/codec.ts";
import { startThreads } from "./workers.ts";

// All threads load what they need at the same time.
const threads = startThreads();
const [fd, ready, codec = "auto", faults = ""] = process.argv.slice(2);
// Whoever ends a whole service signals each process; the parent decides when the last frame is out, and then hangs up.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
try {
  const { startModel } = await import("./process.ts");
  const model = await startModel(
    {
      clients: { connectionFd: Number(fd) },
      codec: codec as CodecName | "auto",
      faults,
      log: () => {},
      notice: (line) => console.error(`model:vp9: ${line}`),
    },
    threads,
  );
  closeSync(Number(ready));
  await model.ended;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
process.exit();
