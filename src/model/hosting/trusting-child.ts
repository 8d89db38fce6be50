/**
 * The process that serves clients for trusting.ts: `trusting-child.ts FD FILE QUERY [standby]`. FD is a
 * listening socket, FILE the model's. Once it accepts clients, it describes itself in a line of JSON on
 * standard output. It exits when its standard input ends.
 */
import { useOneHeap } from "../../os/heap.ts";
import { UP } from "./lines.ts";
import { startModel } from "./process.ts";

const [fd, file = "", query = "", standby] = process.argv.slice(2);
useOneHeap();
// Stopping a service signals each of its processes. The starting one decides when this one exits.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
try {
  const model = await startModel({
    model: { file, query },
    clients: { listenerFd: Number(fd), standby: standby === "standby" },
    trusting: true,
    log: (line) => console.error(line),
    notice: (line) => console.error(line),
  });
  console.log(UP + JSON.stringify({ title: model.title, about: model.about }));
  process.stdin.on("end", () => model.stop()).resume();
  await model.ended;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
process.exit();
