/** Lists PCI functions. */
import { defineCommand } from "citty";
import { listFunctions, type PciFunction } from "../src/pci/bus/functions.ts";
import { openNames, type PciNames } from "../src/pci/decode/names.ts";
import { ADDRESSES, functionAddresses } from "./bus/address.ts";
import { parseFilter } from "./bus/filter.ts";
import { columns } from "./cli/columns.ts";
import { hex } from "./cli/number.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const command = defineCommand({
  meta: {
    name: "list.ts",
    description: `List PCI functions: address, vendor:device, driver, IOMMU group, NUMA node, class and name.
Names are from pci.ids, if it is installed. Virtual functions are shown under their physical one.
Needs no root.

Examples:
  bun run list.ts
  bun run list.ts --id 10ee:7022
  bun run list.ts nvme0n1 eth0
  bun run list.ts --class 0108 --driver vfio-pci --json

--json: an array of objects: address, class, vendor, device, subsystemVendor, subsystem and
revision (hexadecimal text), names (class, vendor, device, subsystem), driver, driverOverride,
iommuGroup (number, noiommu), numaNode, irq, bridge, physicalFunction; null if there is none.
Exit codes: 0 done, even if nothing was found, 1 it failed, 2 usage.`,
  },
  args: {
    address: {
      type: "positional",
      required: false,
      valueHint: "...",
      description: `${ADDRESSES} (default: all)`,
    },
    driver: {
      type: "string",
      valueHint: "NAME",
      description: "Functions with this driver; none: without a driver",
    },
    class: {
      type: "string",
      valueHint: "HEX",
      description: "Functions of this class: 2, 4 or 6 digits, such as 0108",
    },
    id: {
      type: "string",
      valueHint: "V:D",
      description: "Functions with these IDs, such as 10ee:7022 or 10ee:",
    },
    group: { type: "string", valueHint: "N", description: "Functions in this IOMMU group" },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(async () => {
      const { driver, class: classCode, id, group } = args;
      const wanted = parseFilter({ driver, class: classCode, id, group });
      const named = functionAddresses(args._);
      const functions = listFunctions().filter(
        (of) => (args._.length === 0 || named.includes(of.address)) && wanted(of),
      );
      const names = openNames();
      if (args.json) printJson(functions.map((of) => toJson(of, names)));
      else if (functions.length > 0)
        console.log(columns([HEADER, ...underPhysical(functions).map((of) => toRow(of, functions, names))]));
      else await say("info", "no PCI function matches");
      return 0;
    }),
});

const HEADER = ["address", "id", "driver", "group", "node", "class", "name"];

const digits = (value: number, count: number) => value.toString(16).padStart(count, "0");

/** In order, but virtual functions right after their physical one, if that is among them. */
function underPhysical(functions: readonly PciFunction[]): PciFunction[] {
  return functions
    .filter((of) => !isUnder(of, functions))
    .flatMap((of) => [of, ...functions.filter(({ physicalFunction }) => physicalFunction === of.address)]);
}

const isUnder = ({ physicalFunction }: PciFunction, functions: readonly PciFunction[]) =>
  physicalFunction !== undefined && functions.some(({ address }) => address === physicalFunction);

function toRow(of: PciFunction, functions: readonly PciFunction[], names: PciNames): string[] {
  const { sub, base } = names.class(of.classCode);
  const name = [names.vendor(of.vendor), names.device(of.vendor, of.device)].filter(Boolean).join(" ");
  return [
    `${isUnder(of, functions) ? "  " : ""}${of.address}`,
    `${digits(of.vendor, 4)}:${digits(of.device, 4)}`,
    of.driver ?? "-",
    of.iommuGroup ? `${of.iommuGroup.number}${of.iommuGroup.noiommu ? " (noiommu)" : ""}` : "-",
    of.numaNode === undefined ? "-" : `${of.numaNode}`,
    sub ?? base ?? digits(of.classCode, 6),
    name,
  ];
}

function toJson(of: PciFunction, names: PciNames) {
  const { sub, base } = names.class(of.classCode);
  return {
    address: of.address,
    class: hex(of.classCode, 24),
    vendor: hex(of.vendor, 16),
    device: hex(of.device, 16),
    subsystemVendor: hex(of.subsystemVendor, 16),
    subsystem: hex(of.subsystem, 16),
    revision: hex(of.revision, 8),
    names: {
      class: sub ?? base ?? null,
      vendor: names.vendor(of.vendor) ?? null,
      device: names.device(of.vendor, of.device) ?? null,
      subsystem: names.subsystem(of.vendor, of.device, of.subsystemVendor, of.subsystem) ?? null,
    },
    driver: of.driver ?? null,
    driverOverride: of.driverOverride ?? null,
    iommuGroup: of.iommuGroup ?? null,
    numaNode: of.numaNode ?? null,
    irq: of.irq,
    bridge: of.isBridge,
    physicalFunction: of.physicalFunction ?? null,
  };
}

await runVerb(command);
