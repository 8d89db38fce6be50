/** Resets a device. */
import { defineCommand } from "citty";
import { resetOpen } from "../src/device/reset.ts";
import { runVerb } from "./cli/usage.ts";
import { deviceArgs, endWith, OPENING, printJson, required } from "./cli/verb.ts";
import { openDeviceOf } from "./device/open.ts";

const command = defineCommand({
  meta: {
    name: "reset.ts",
    description: `Reset a device to its power-on state, by the method of its backend. Then check that its
configuration space and the first word of one of its BARs answer.

Examples:
  bun run reset.ts 0000:00:09.0
  bun run reset.ts vfio-user:/tmp/vp9.sock --json

--json: device, reachedBy, before and after (vendor:device), resetMs.

${OPENING}
Exit codes: 0 done, 1 the reset failed or another device answers after it, 2 usage, 5 the device
does not answer.`,
  },
  args: deviceArgs,
  run: ({ args }) =>
    endWith(() => {
      const spec = required(args.spec, "the device");
      using device = openDeviceOf(spec);
      const { reachedBy, before, after, resetMs } = resetOpen(device);
      if (args.json) printJson({ device: spec, reachedBy, before, after, resetMs });
      else
        console.log(
          `${spec}: ${before} reset by ${reachedBy} in ${resetMs.toFixed(1)} ms; it answers as ${after}`,
        );
      if (before !== after) throw new Error(`${spec}: ${before} before the reset, ${after} after it`);
      return 0;
    }),
});

await runVerb(command, { required: ["spec"] });
