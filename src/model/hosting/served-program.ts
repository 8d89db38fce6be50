/**
 * Serves a model on a socket for the process that starts it: `served-program.ts SOCKET FILE QUERY`. FILE is
 * the model's. Once it accepts clients, it describes itself in a line on standard output. SIGTERM ends it.
 */
import { useOneHeap } from "../../os/heap.ts";
import type { ModelLog } from "../device-model.ts";
import { UP } from "./lines.ts";
import { startModel } from "./process.ts";

const [socketPath = "", file = "", query = ""] = process.argv.slice(2);
useOneHeap();
let stop = (): void => process.exit();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop());
try {
  const say = (line: string) => console.error(line);
  const clients = { socketPath, standby: true };
  // Which client it has is known to the process that started it.
  const log: ModelLog = (line, about) => {
    if (about !== "client") say(line);
  };
  const model = await startModel({ model: { file, query }, clients, log, notice: say });
  stop = () => model.stop();
  console.log(`${UP}${model.title} (${model.about})`);
  await model.ended;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
process.exit();
