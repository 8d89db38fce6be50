/** Turns a PCI function's memory decode and bus mastering on or off. */
import { defineCommand } from "citty";
import { commandBits, disable, enable } from "../src/pci/bus/enable.ts";
import { readFunction } from "../src/pci/bus/functions.ts";
import { ADDRESS, functionAddress } from "./bus/address.ts";
import { hex } from "./cli/number.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const command = defineCommand({
  meta: {
    name: "enable.ts",
    description: `Turn a PCI function's memory decode and bus mastering on or off. When they are on, lspci shows
Mem+ BusMaster+ and no region as [disabled]. Without --memory, --bus-master and --io, memory decode
and bus mastering are changed, and with --off all three. Bits that are not named stay as they are.
If no driver is bound, the bridges above the function are turned on with it. Turning off a function
that a kernel driver has or that is in use needs --force. Needs root.

Examples:
  bun run enable.ts 0000:00:09.0
  bun run enable.ts 00:09.0 --memory
  bun run enable.ts 00:09.0 --off

--json: address, driver, before and after, each with command (hexadecimal text), io, memory and busMaster.
Exit codes: 0 done, 1 it failed, 2 usage.`,
  },
  args: {
    address: { type: "positional", required: false, description: ADDRESS },
    off: { type: "boolean", default: false, description: "Turn off instead" },
    memory: {
      type: "boolean",
      default: false,
      description: "Memory decode: answer accesses to memory regions",
    },
    "bus-master": { type: "boolean", default: false, description: "Bus mastering: do DMA and send MSI" },
    io: { type: "boolean", default: false, description: "I/O decode: answer accesses to I/O port regions" },
    force: { type: "boolean", default: false, description: "Turn off even if the function is in use" },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(async () => {
      const of = readFunction(functionAddress(args.address));
      const named = args.memory || args["bus-master"] || args.io;
      const chosen = named ? { memory: args.memory, busMaster: args["bus-master"], io: args.io } : undefined;
      const { before, after } = args.off ? disable(of.address, chosen, args) : enable(of.address, chosen);
      if (of.driver !== undefined)
        await say(
          "info",
          `${of.address} is bound to ${of.driver}, which sets these bits itself and may change them again`,
        );
      if (args.json) {
        const json = (value: number) => ({ command: hex(value, 16), ...commandBits(value) });
        printJson({
          address: of.address,
          driver: of.driver ?? null,
          before: json(before),
          after: json(after),
        });
      } else {
        console.log(`${of.address}  before  ${describe(before)}`);
        console.log(`${of.address}  after   ${describe(after)}`);
      }
      return 0;
    }),
});

/** As lspci shows the Command register. */
function describe(value: number): string {
  const { io, memory, busMaster } = commandBits(value);
  const sign = (on: boolean) => (on ? "+" : "-");
  return `I/O${sign(io)} Mem${sign(memory)} BusMaster${sign(busMaster)}  (${hex(value, 16)})`;
}

await runVerb(command, { required: ["address"] });
