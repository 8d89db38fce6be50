/**
 * The process that serves clients for trusting.ts: `trusting-child.ts FD CODEC FAULTS [heir]`, FD a listening socket. It
 * says which codec it has in a line on standard output once it takes clients, and ends with its standard input.
 */
import type { CodecName } from "../codec/codec.ts";
import { startModel } from "./process.ts";

const [fd, codec = "auto", faults = "", heir] = process.argv.slice(2);
// Whoever ends a whole service signals each process; the starting one decides.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
try {
  const model = await startModel({
    clients: { listenerFd: Number(fd), heir: heir === "heir" },
    codec: codec as CodecName | "auto",
    faults,
    trusting: true,
    log: (line) => console.error(line),
    notice: (line) => console.error(line),
  });
  console.log(model.codec);
  process.stdin.on("end", () => model.stop()).resume();
  await model.ended;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
process.exit();
