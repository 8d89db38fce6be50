/** The --help of a standalone binary. */
import { defineCommand } from "citty";
import { printUsage } from "../usage.ts";
import { leftOut, verbs } from "./verbs.ts";

const command = defineCommand({
  meta: {
    name: "vfiokit",
    description: `Drive PCIe devices from user space, and above all a PCIe VP9 encoder.

Examples:
  vfiokit list
  vfiokit encode clip.y4m -o clip.webm

--version says which vfiokit this is, for which machines, and with which Bun. Not in this program,
because they need a clone of the project: ${leftOut.join(", ")}.`,
  },
  subCommands: Object.fromEntries(
    Object.entries(verbs).map(([name, { about }]) => [name, defineCommand({ meta: { description: about } })]),
  ),
});

export const printHelp = () => printUsage(command);
