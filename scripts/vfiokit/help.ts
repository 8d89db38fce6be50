/** One --help for all verbs. */
import { defineCommand } from "citty";
import { cloneVerbs } from "../cli/remedy.ts";
import { printUsage } from "../cli/usage.ts";
import { verbs } from "./verbs.ts";

const command = defineCommand({
  meta: {
    name: "vfiokit",
    description: `Drive PCIe devices from user space, in particular a PCIe VP9 encoder.

Examples:
  vfiokit list
  vfiokit encode clip.y4m -o clip.webm

--version prints the versions of vfiokit and Bun. ${
      Bun.isStandaloneExecutable
        ? `Not included,\nbecause they need a clone of the project: ${cloneVerbs.join(", ")}.`
        : `Other verbs: ${cloneVerbs.join(", ")}.`
    }`,
  },
  subCommands: Object.fromEntries(
    Object.entries(verbs).map(([name, { about }]) => [name, defineCommand({ meta: { description: about } })]),
  ),
});

export const printHelp = () => printUsage(command);
