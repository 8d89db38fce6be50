/** Binds a PCI function to a driver for user space. */
import { defineCommand } from "citty";
import { bind, DEFAULT_DRIVER, planBind } from "../src/pci/bus/binding.ts";
import { isVfioDriver } from "../src/pci/bus/group.ts";
import { ADDRESS, functionAddress } from "./bus/address.ts";
import { describeGroup, groupJson } from "./bus/group.ts";
import { wordRemedies } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const command = defineCommand({
  meta: {
    name: "bind.ts",
    description: `Bind a PCI function to vfio-pci, or to another driver for user space, by driver_override and
drivers_probe. Shows the IOMMU group. Remembers the replaced driver; release.ts restores it.
Refuses a function that is in use. If one change fails, all are undone. Needs root.

Examples:
  bun run bind.ts 0000:00:09.0
  bun run bind.ts 00:09.0 --group --dry-run
  bun run bind.ts 00:09.0 --driver uio_pci_generic

--json: address, driver, dryRun, changes (address, from, to; null is no driver), uses (why the
function is refused), group (number, noiommu, viable, members) or null.
Exit codes: 0 bound, 1 not bound (with --dry-run: would not be), 2 usage.`,
  },
  args: {
    address: { type: "positional", required: false, description: ADDRESS },
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
      const address = functionAddress(args.address);
      const { driver, group, force, noiommu } = args;
      const dryRun = args["dry-run"];
      const plan = dryRun
        ? planBind(address, driver, { group, noiommu })
        : await bind(address, driver, { group, force, noiommu });
      const refused = dryRun && plan.uses.length > 0 && !force;
      if (args.json) {
        const { changes, uses, members } = plan;
        printJson({ address, driver, dryRun, changes, uses, group: groupJson(members) });
        return refused ? 1 : 0;
      }
      console.log(describeGroup(plan.members));
      const tense = dryRun ? "would go" : "went";
      for (const change of plan.changes)
        console.log(
          `${change.address} ${tense} from ${change.from ?? "no driver"} to ${change.to ?? "no driver"}`,
        );
      if (plan.changes.length === 0) console.log(`${address} is already bound to ${driver}`);
      if (refused) await say("error", `it would be refused, since it is in use:\n${plan.uses.join("\n")}`);
      const blocking = plan.members.filter((member) => !member.viable);
      if (!dryRun && isVfioDriver(driver) && blocking.length > 0) {
        const names = blocking.map((member) => `${member.function.address} (${member.function.driver})`);
        await say(
          "info",
          wordRemedies(`VFIO can't use the group yet: ${names.join(", ")}`, [
            { verb: "bind", args: [address, "--group"], does: "binds the rest" },
          ]),
        );
      }
      return refused ? 1 : 0;
    }),
});

await runVerb(command, { required: ["address"] });
