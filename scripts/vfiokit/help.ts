/** One --help for all verbs. */
import { defineCommand } from "citty";
import { cloneVerbs, packageVerbNames } from "../cli/remedy.ts";
import { printUsage } from "../cli/usage.ts";
import { packageVerbs, verbs } from "./verbs.ts";

const command = defineCommand({
  meta: {
    name: "vfiokit",
    description: `Drive PCIe devices from user space, in particular a PCIe VP9 encoder.

Examples:
  vfiokit list
  vfiokit encode clip.y4m -o clip.webm

--version prints the versions of vfiokit and Bun. ${
      Bun.isStandaloneExecutable
        ? `Not included,\nbecause they need the package: ${packageVerbNames.join(", ")}.`
        : `complete SHELL prints a\nscript that lets bash, zsh or fish complete verbs and options.`
    } A clone of the
project also has ${cloneVerbs.join(" and ")}.`,
  },
  subCommands: Object.fromEntries(
    Object.entries(Bun.isStandaloneExecutable ? verbs : { ...verbs, ...packageVerbs }).map(
      ([name, { about }]) => [name, defineCommand({ meta: { description: about } })],
    ),
  ),
});

export const printHelp = () => printUsage(command);
