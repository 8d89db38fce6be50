/** Lets a group bind, open and release PCI functions without root, also after a reboot. */
import { defineCommand } from "citty";
import { BusError } from "../src/pci/bus/bus-error.ts";
import { isGroupName, planSetup, removeSetup, type SetupPlan, writeSetup } from "../src/pci/setup/setup.ts";
import type { Advice } from "../src/remedy/remedy.ts";
import { ADDRESSES, functionAddresses } from "./bus/address.ts";
import { hex, wholeNumber } from "./cli/number.ts";
import { wordCommand, wordRemedies } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const MOST_HUGEPAGES = 1 << 24;
const MOST_MEMLOCK_MIB = 1 << 24;

const command = defineCommand({
  meta: {
    name: "setup.ts",
    description: `Set this machine up so that members of a group bind PCI functions to vfio-pci, use them and release
them without root, also after a reboot. Shows the files and the commands; --write carries them out,
as root. Needs an IOMMU: without one only root can use a device.

Examples:
  bun run setup.ts 0000:00:09.0
  sudo bun run setup.ts 00:09.0 --write
  sudo bun run setup.ts 10ee:7022 --hugepages 64 --bind-at-boot --write
  sudo bun run setup.ts --remove

The files: a udev rule, which gives the group the functions' nodes in /dev/vfio, /dev/iommu, the
functions' driver_override, and vfio-pci's bind and unbind; the module to load at boot; the memlock
limit; and the number of huge pages. A new set-up replaces the one before. A file of these names that
setup.ts did not make is never touched.

Only root can take a function from another driver, with bind.ts or --bind-at-boot, because the right
to unbind one function of a driver is the right to unbind all of them. Of vfio-pci the group has that
right, so its members can also unbind functions that other users drive.

--remove takes the rights back and removes the files, the group if setup.ts added it, and the huge
pages if there were others before. Functions that are bound stay bound.

--json: functions (address, vendor, device), group, written, files (path, content), steps (text) and
notes (text); with --remove: removed (paths) and notes.
Exit codes: 0 shown, written or removed, 1 it failed, 2 usage.`,
  },
  args: {
    functions: {
      type: "positional",
      required: false,
      valueHint: "...",
      description: ADDRESSES,
    },
    group: {
      type: "string",
      default: "vfio",
      valueHint: "NAME",
      description: "The group; it is added if it is missing",
    },
    memlock: {
      type: "string",
      default: "512",
      valueHint: "MIB",
      description: "Memory that a member's process may pin for DMA",
    },
    hugepages: { type: "string", valueHint: "N", description: "Reserve huge pages of 2 MiB, at boot, too" },
    "bind-at-boot": {
      type: "boolean",
      default: false,
      description: "Bind the functions to vfio-pci now, and whenever they appear",
    },
    write: { type: "boolean", default: false, description: "Write the files and put them into force" },
    remove: { type: "boolean", default: false, description: "Remove what was set up" },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(async () => {
      const { group, write, remove, json } = args;
      if (remove) {
        if (write || args._.length > 0) throw new UsageError("--remove takes no functions, and no --write");
        const { removed, notes } = await removeSetup();
        if (json) printJson({ removed, notes: notes.map(word) });
        else {
          console.log(removed.length > 0 ? `removed:\n${list(removed)}` : "nothing is set up");
          for (const note of notes) await say("info", word(note));
        }
        return 0;
      }
      if (!isGroupName(group))
        throw new UsageError(
          `--group ${group}: it must be a group's name: lower-case letters, digits, - and _`,
        );
      if (args._.length === 0)
        throw new UsageError("say which functions: addresses, or VENDOR:DEVICE; --remove needs none");
      const plan = await planSetup(addressesOf(args._), {
        group,
        memlockMib: wholeNumber("--memlock", args.memlock, 1, MOST_MEMLOCK_MIB),
        hugepages:
          args.hugepages === undefined
            ? undefined
            : wholeNumber("--hugepages", args.hugepages, 0, MOST_HUGEPAGES),
        bindAtBoot: args["bind-at-boot"],
      });
      if (write) await writeSetup(plan);
      if (json) printJson(toJson(plan, write));
      else await show(plan, write);
      return 0;
    }),
});

/** Throws UsageError if a word is no function's name, or nothing has the ids. */
function addressesOf(words: readonly string[]): string[] {
  try {
    return functionAddresses(words);
  } catch (error) {
    if (error instanceof BusError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

const word = ({ text, remedies }: Advice) => wordRemedies(text, remedies);
const list = (lines: readonly string[]) => lines.map((line) => `  ${line}`).join("\n");
const stepsOf = ({ steps }: SetupPlan) =>
  steps.map(({ words }) => (typeof words === "string" ? words : wordCommand(words)));

async function show(plan: SetupPlan, written: boolean): Promise<void> {
  const files = plan.files.map(({ path, content }) => `${path}:\n${list(content.trimEnd().split("\n"))}\n`);
  console.log(`${files.join("\n")}\n${written ? "done" : "to be done"}:\n${list(stepsOf(plan))}`);
  for (const note of plan.notes) await say("info", word(note));
  if (!written) await say("info", "nothing was changed: --write does all this, as root");
}

function toJson(plan: SetupPlan, written: boolean) {
  const { functions, group } = plan.setup;
  return {
    functions: functions.map(({ address, vendor, device }) => ({
      address,
      vendor: hex(vendor, 16),
      device: hex(device, 16),
    })),
    group,
    written,
    files: plan.files,
    steps: stepsOf(plan),
    notes: plan.notes.map(word),
  };
}

await runVerb(command);
