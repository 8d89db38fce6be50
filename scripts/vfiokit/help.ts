/** The --help of all verbs in one. */
import { defineCommand } from "citty";
import { printUsage } from "../cli/usage.ts";
import { cloneVerbs, packageVerbs, verbs } from "./verbs.ts";

const command = defineCommand({
  meta: {
    name: "vfiokit",
    description: `Drive PCIe devices from user space, and above all a PCIe VP9 encoder.

Examples:
  vfiokit list
  vfiokit encode clip.y4m -o clip.webm

--version says which vfiokit this is and with which Bun. ${
      Bun.isStandaloneExecutable
        ? `Not in this program, because\nthey need the package: ${Object.keys(packageVerbs).join(", ")}.`
        : `complete SHELL prints a script\nwith which bash, zsh or fish completes verbs and options.`
    } In a clone of the project
there are also ${cloneVerbs.join(" and ")}.`,
  },
  subCommands: Object.fromEntries(
    Object.entries(Bun.isStandaloneExecutable ? verbs : { ...verbs, ...packageVerbs }).map(
      ([name, { about }]) => [name, defineCommand({ meta: { description: about } })],
    ),
  ),
});

export const printHelp = () => printUsage(command);
