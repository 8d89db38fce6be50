/** Binds PCI functions to a driver for user space. */
import { defineCommand } from "citty";
import { bindAll, DEFAULT_DRIVER, planBindAll } from "../src/pci/bus/binding.ts";
import { type GroupMember, isVfioDriver } from "../src/pci/bus/group.ts";
import { ADDRESSES, areSeveral, functionAddresses } from "./bus/address.ts";
import { describeGroup, groupJson } from "./bus/group.ts";
import { wordRemedies } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const command = defineCommand({
  meta: {
    name: "bind.ts",
    description: `Bind PCI functions to vfio-pci, or to another driver for user space, by driver_override and
drivers_probe. Shows the IOMMU groups. Remembers the replaced drivers; release.ts restores them.
Refuses a function that is in use. Several functions are all checked first. If one change fails,
all are undone. Needs root.

Examples:
  bun run bind.ts 0000:00:09.0
  bun run bind.ts 00:09.0 --group --dry-run
  bun run bind.ts 00:09.0 --driver uio_pci_generic
  bun run bind.ts 10ee:7022 nvme1n1

--json: address, driver, dryRun, changes (address, from, to; null is no driver), uses (why the
function is refused), group (number, noiommu, viable, members) or null. An array of such objects
if several functions or VENDOR:DEVICE were named.
Exit codes: 0 bound, 1 not bound (with --dry-run: would not be), 2 usage.`,
  },
  args: {
    address: { type: "positional", required: false, valueHint: "...", description: ADDRESSES },
    driver: {
      type: "string",
      default: DEFAULT_DRIVER,
      valueHint: "NAME",
      description: "The driver to bind to",
    },
    group: {
      type: "boolean",
      default: false,
      description: "Also bind the rest of its IOMMU group",
    },
    noiommu: {
      type: "boolean",
      default: false,
      description:
        "By VFIO without an IOMMU: the device can then write to any memory of the machine; release.ts takes it back",
    },
    force: { type: "boolean", default: false, description: "Bind even if the function is in use" },
    "dry-run": { type: "boolean", default: false, description: "Show what would happen; change nothing" },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(async () => {
      if (args._.length === 0) throw new UsageError("the function's address is missing; --help has examples");
      const addresses = functionAddresses(args._);
      const { driver, group, force, noiommu } = args;
      const dryRun = args["dry-run"];
      const plans = dryRun
        ? planBindAll(addresses, driver, { group, noiommu })
        : await bindAll(addresses, driver, { group, force, noiommu });
      const uses = plans.flatMap((plan) => plan.uses);
      const refused = dryRun && uses.length > 0 && !force;
      if (args.json) {
        const objects = plans.map(({ changes, uses, members }, i) => {
          return { address: addresses[i], driver, dryRun, changes, uses, group: groupJson(members) };
        });
        printJson(areSeveral(args._) ? objects : objects[0]);
        return refused ? 1 : 0;
      }
      for (const text of new Set(plans.map(({ members }) => describeGroup(members)))) console.log(text);
      const changes = plans.flatMap((plan) => plan.changes);
      const tense = dryRun ? "would go" : "went";
      for (const { address, from, to } of changes)
        console.log(`${address} ${tense} from ${from ?? "no driver"} to ${to ?? "no driver"}`);
      for (const address of addresses)
        if (!changes.some((change) => change.address === address))
          console.log(`${address} is already bound to ${driver}`);
      if (refused) await say("error", `it would be refused, since it is in use:\n${uses.join("\n")}`);
      if (!dryRun && isVfioDriver(driver))
        for (const [i, { members }] of plans.entries()) await sayBlocking(addresses[i]!, members);
      return refused ? 1 : 0;
    }),
});

/** Says which functions keep VFIO from a group, if some do, and what binds them. */
async function sayBlocking(address: string, members: readonly GroupMember[]): Promise<void> {
  const blocking = members.filter((member) => !member.viable);
  if (blocking.length === 0) return;
  const names = blocking.map((member) => `${member.function.address} (${member.function.driver})`);
  await say(
    "info",
    wordRemedies(`VFIO can't use the group yet: ${names.join(", ")}`, [
      { verb: "bind", args: [address, "--group"], does: "binds the rest" },
    ]),
  );
}

await runVerb(command, { required: ["address"] });
