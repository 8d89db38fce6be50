/** Removes PCI devices from the bus and rescans for them. */
import { defineCommand } from "citty";
import { askFound } from "../src/doctor/registers.ts";
import { BusError } from "../src/pci/bus/bus-error.ts";
import type { PciFunction } from "../src/pci/bus/functions.ts";
import { type RescanOutcome, rescan } from "../src/pci/bus/hotplug.ts";
import { functionAddresses } from "./bus/address.ts";
import { programStep } from "./bus/program.ts";
import { columns } from "./cli/columns.ts";
import { hex, timeoutMs } from "./cli/number.ts";
import { wordError } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const words = process.argv.splice(2);
const dashes = words.indexOf("--");
// The words after -- are another program's command line.
const program = dashes < 0 ? [] : words.slice(dashes + 1);
process.argv.push(...(dashes < 0 ? words : words.slice(0, dashes)));

const command = defineCommand({
  meta: {
    name: "rescan.ts",
    description: `Remove PCI devices with all their functions from the bus, and find them again (hot-plug), for
example to program an FPGA. In between it runs a command, or waits for Enter. Functions get their
drivers back. If no kernel driver has a function, its registers are read to see whether they
answer. Refuses a function that is in use, or that has virtual functions, which do not come back.
Without an address nothing is removed. The command's output goes to standard error. Needs root.

Examples:
  bun run rescan.ts 0000:01:00.0 -- openFPGALoader -b myboard image.bit
  bun run rescan.ts 01:00.0 02:00.0 --pause
  bun run rescan.ts --bus 01
  bun run rescan.ts --bus all

--json: functions, an array of address, fate (back, changed, silent, gone, new), before and after (vendor,
device, driver; null if there is none), error (why the driver is not back) or null.
Exit codes: 0 done, 1 a function is gone or silent, a driver is not back, or the command failed,
2 usage.`,
  },
  args: {
    address: {
      type: "positional",
      required: false,
      valueHint: "...",
      description: "One function of each device: 0000:01:00.0, 01:00.0, 10ee:7022, nvme0n1 or eth0",
    },
    bus: {
      type: "string",
      valueHint: "BUS",
      description: "Scan this bus, such as 0000:01, or all (default: where the devices were)",
    },
    pause: { type: "boolean", default: false, description: "Wait for Enter while the devices are removed" },
    timeout: {
      type: "string",
      default: "10",
      valueHint: "S",
      description: "Seconds that the devices may take to come back",
    },
    force: { type: "boolean", default: false, description: "Remove the devices even if they are in use" },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(async () => {
      const addresses = functionAddresses(args._);
      if (addresses.length === 0 && args.bus === undefined)
        throw new UsageError("say what to rescan: a function's address, or --bus BUS, or --bus all");
      if (args.pause && program.length > 0)
        throw new UsageError("either --pause or a command after --, not both");
      if (addresses.length === 0 && (args.pause || program.length > 0))
        throw new UsageError("nothing would be removed from the bus in between: name a function's address");
      const meanwhile = programStep(args.pause, program);
      const found = await rescan({
        addresses,
        bus: args.bus,
        force: args.force,
        timeoutMs: timeoutMs(args.timeout),
        ...(meanwhile && { meanwhile }),
      }).catch((error) => {
        throw meanwhile ? withStep(error) : error;
      });
      const outcomes = found.map((outcome) =>
        isDead(outcome) ? { ...outcome, fate: "silent" as const } : outcome,
      );
      if (args.json) printJson({ functions: outcomes.map(toJson) });
      else if (outcomes.length === 0) console.log("nothing new");
      else console.log(columns(outcomes.map(describe)));
      const errors = outcomes.flatMap(({ address, fate, before, failure }) => {
        if (fate === "gone" && before?.physicalFunction !== undefined)
          return `${address} was a virtual function: ${before.physicalFunction}'s sriov_numvfs creates it again`;
        if (fate === "gone") return `${address} did not come back within ${args.timeout} s`;
        if (fate === "silent")
          return `${address} is back, but its registers or its configuration space read as all ones: the logic behind it is dead, in reset or still being programmed`;
        return failure === undefined ? [] : `${address} did not get its driver back: ${wordError(failure)}`;
      });
      for (const error of errors) await say("error", error);
      return errors.length > 0 ? 1 : 0;
    }),
});

/** The same error, whose command by force is the one that was typed, so that the step is taken then, too. */
function withStep(error: unknown): unknown {
  if (!(error instanceof BusError) || error.remedies.length === 0) return error;
  const remedies = error.remedies.map((remedy) =>
    remedy.args.includes("--force") ? { ...remedy, args: ["--force", ...words] } : remedy,
  );
  return new BusError(error.message, { cause: error, remedies });
}

function isDead({ fate, after }: RescanOutcome): boolean {
  return (fate === "back" || fate === "changed") && after !== undefined && askFound(after)?.silent === true;
}

const ids = (of: PciFunction) =>
  `${of.vendor.toString(16).padStart(4, "0")}:${of.device.toString(16).padStart(4, "0")}`;

function describe({ address, fate, before, after }: RescanOutcome): string[] {
  const was = before && after && ids(before) !== ids(after) ? `, was ${ids(before)}` : "";
  const driver = after ? `driver ${after.driver ?? "none"}` : `driver was ${before?.driver ?? "none"}`;
  return [address, fate, `${ids((after ?? before)!)}${was}`, driver];
}

function toJson({ address, fate, before, after, failure }: RescanOutcome) {
  const json = (of: PciFunction | undefined) =>
    of ? { vendor: hex(of.vendor, 16), device: hex(of.device, 16), driver: of.driver ?? null } : null;
  return {
    address,
    fate,
    before: json(before),
    after: json(after),
    error: failure ? wordError(failure) : null,
  };
}

await runVerb(command, { rest: "... [-- COMMAND...]" });
