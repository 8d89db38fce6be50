/** Resets a device. */
import { defineCommand } from "citty";
import { addressOf } from "../src/device/pci.ts";
import { resetOpen } from "../src/device/reset.ts";
import { resetMethods, withResetMethod } from "../src/pci/bus/reset-method.ts";
import { withAddress } from "./bus/address.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { deviceArgs, endWith, OPENING, printJson, required } from "./cli/verb.ts";
import { openDeviceOf } from "./device/open.ts";

const command = defineCommand({
  meta: {
    name: "reset.ts",
    description: `Reset a device to its power-on state, by the method of its backend. Then check that its
configuration space and the first word of one of its BARs answer. Of a function of this machine's
bus the kernel knows one or more methods: flr, pm (by its power state), bus, and others.

Examples:
  bun run reset.ts 0000:00:09.0
  bun run reset.ts 0000:00:09.0 --methods
  bun run reset.ts 0000:00:09.0 --method pm
  bun run reset.ts vfio-user:/tmp/vp9.sock --json

--json: device, reachedBy, before and after (vendor:device), resetMs; with --methods device and
methods.

${OPENING}
Exit codes: 0 done, 1 the reset failed or another device answers after it, 2 usage, 5 the device
does not answer.`,
  },
  args: {
    ...deviceArgs,
    method: { type: "string", valueHint: "NAME", description: "By this method only" },
    methods: { type: "boolean", default: false, description: "Show its methods; reset nothing" },
  },
  run: ({ args }) =>
    endWith(() => {
      const spec = required(args.spec, "the device");
      const { method } = args;
      if (args.methods) {
        const methods = resetMethods(onThisBus(spec));
        if (args.json) printJson({ device: spec, methods });
        else console.log(methods.length > 0 ? methods.join("\n") : "none: it can't be reset alone");
        return 0;
      }
      const address = method === undefined ? undefined : onThisBus(spec);
      using device = openDeviceOf(spec);
      const act = () => resetOpen(device);
      const { reachedBy, before, after, resetMs } =
        address === undefined ? act() : withResetMethod(address, method!, act);
      if (args.json) printJson({ device: spec, reachedBy, before, after, resetMs });
      else
        console.log(
          `${spec}: ${before} reset by ${reachedBy} in ${resetMs.toFixed(1)} ms; it answers as ${after}`,
        );
      if (before !== after) throw new Error(`${spec}: ${before} before the reset, ${after} after it`);
      return 0;
    }),
});

/** The address of a function of this machine's bus. Throws UsageError for another device. */
function onThisBus(spec: string): string {
  const address = addressOf(withAddress(spec));
  if (address === undefined)
    throw new UsageError(`only functions of this machine's bus have methods, and ${spec} is not one`);
  return address;
}

await runVerb(command, { required: ["spec"] });
