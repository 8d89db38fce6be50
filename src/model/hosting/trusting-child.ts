/**
 * The process that serves clients for trusting.ts: `trusting-child.ts FD FILE QUERY [standby]`, FD a listening socket and FILE
 * the model's. It says what it is in a line of JSON on standard output once it takes clients, and ends with its standard input.
 */
import { startModel } from "./process.ts";

const [fd, file = "", query = "", standby] = process.argv.slice(2);
// Whoever ends a whole service signals each process; the starting one decides.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
try {
  const model = await startModel({
    model: { file, query },
    clients: { listenerFd: Number(fd), standby: standby === "standby" },
    trusting: true,
    log: (line) => console.error(line),
    notice: (line) => console.error(line),
  });
  console.log(JSON.stringify({ title: model.title, about: model.about }));
  process.stdin.on("end", () => model.stop()).resume();
  await model.ended;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
process.exit();
