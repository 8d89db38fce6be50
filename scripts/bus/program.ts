/** The step while a device is off the bus: another program's command, or the user's own work. */

import { BusError } from "../../src/pci/bus/bus-error.ts";
import type { PciFunction } from "../../src/pci/bus/functions.ts";
import { interrupted } from "../cli/interrupt.ts";
import { say } from "../cli/say.ts";

type Step = (removed: readonly PciFunction[]) => Promise<void>;

/** Undefined if there is nothing to do. Ctrl-C ends the step; the rescan still happens. */
export function programStep(pause: boolean, command: readonly string[]): Step | undefined {
  if (pause) return awaitEnter;
  return command.length > 0 ? () => run(command) : undefined;
}

/** Its output goes to standard error, because standard output is the verb's own. */
async function run(command: readonly string[]): Promise<void> {
  let exitCode: number;
  try {
    const child = Bun.spawn([...command], { stdio: ["inherit", process.stderr.fd, "inherit"] });
    exitCode = await child.exited;
  } catch (error) {
    throw new BusError(`can't run ${command[0]}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  if (exitCode !== 0) throw new BusError(`${command.join(" ")} ended with exit code ${exitCode}`);
}

async function awaitEnter(removed: readonly PciFunction[]): Promise<void> {
  await say("info", `${removed.map((of) => of.address).join(", ")} removed; press Enter to rescan the bus`);
  const stop = new Promise<void>((resolve) => interrupted.addEventListener("abort", () => resolve()));
  const enter = new Promise<void>((resolve) => {
    process.stdin.once("data", () => resolve());
    process.stdin.once("end", () => resolve());
  });
  await Promise.race([stop, enter]);
  process.stdin.pause();
  if (interrupted.aborted) throw new BusError("interrupted; the bus was rescanned");
}
