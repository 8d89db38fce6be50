/** Shows which sizes a function's BARs can have, and changes one. */
import { defineCommand } from "citty";
import {
  describeBarSize,
  type ResizableBar,
  resizableBars,
  resizeBar,
} from "../src/pci/bus/resizable-bars.ts";
import { ADDRESS, functionAddress } from "./bus/address.ts";
import { wholeNumber } from "./cli/number.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const command = defineCommand({
  meta: {
    name: "resize.ts",
    description: `Show which sizes a PCI function's resizable BARs can have, or give one of them another size, as
graphics cards and FPGAs offer it. The kernel gives the function's BARs new addresses then, so no
driver and no process may have it. It keeps the size until the function is removed from the bus,
or the machine is turned off. Needs Linux 5.19; changing a size needs root.

Examples:
  bun run resize.ts 0000:00:09.0
  bun run resize.ts 00:09.0 1 256MiB
  bun run resize.ts 00:09.0 0 8GiB --json

--json: address and bars, each with bar, sizeBytes (0 without addresses) and sizesBytes; with a
size address, bar, beforeBytes and sizeBytes.
Exit codes: 0 done, 1 it failed, 2 usage.`,
  },
  args: {
    address: { type: "positional", required: false, description: ADDRESS },
    bar: { type: "positional", required: false, description: "The BAR to resize: 0 to 5" },
    size: { type: "positional", required: false, description: "Its new size: 256MiB, 8GiB or 1TiB" },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(() => {
      const address = functionAddress(args.address);
      if (args.bar === undefined) {
        const bars = resizableBars(address);
        if (args.json)
          printJson({ address, bars: bars.map(({ index, ...sizes }) => ({ bar: index, ...sizes })) });
        else
          console.log(bars.length > 0 ? bars.map(describe).join("\n") : "none: no BAR can change its size");
        return 0;
      }
      const bar = wholeNumber("the BAR", args.bar, 0, 5);
      if (args.size === undefined) throw new UsageError("the BAR's size is missing; --help has examples");
      const sizeBytes = parseSize(args.size);
      const beforeBytes = resizeBar(address, bar, sizeBytes);
      if (args.json) printJson({ address, bar, beforeBytes, sizeBytes });
      else
        console.log(
          `BAR${bar} of ${address} had ${describeSize(beforeBytes)}, and has ${describeBarSize(sizeBytes)} now`,
        );
      return 0;
    }),
});

const describeSize = (sizeBytes: number) => (sizeBytes === 0 ? "no addresses" : describeBarSize(sizeBytes));

function describe({ index, sizeBytes, sizesBytes }: ResizableBar): string {
  return `BAR${index}  ${describeSize(sizeBytes)} of ${sizesBytes.map(describeBarSize).join(", ")}`;
}

const units: Readonly<Record<string, number>> = { m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** "256MiB", "256M" or "256m". Throws UsageError. */
function parseSize(text: string): number {
  const [, digits, unit] = /^(\d{1,6})([mgt])(?:i?b)?$/i.exec(text) ?? [];
  const sizeBytes = Number(digits) * (units[unit?.toLowerCase() ?? ""] ?? Number.NaN);
  if (!(sizeBytes > 0) || !Number.isInteger(Math.log2(sizeBytes)))
    throw new UsageError(`the size ${text}: it must be a power of two with its unit, such as 256MiB or 8GiB`);
  return sizeBytes;
}

await runVerb(command, { required: ["address"] });
