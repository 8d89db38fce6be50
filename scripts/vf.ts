/** Shows, creates and removes virtual functions. */
import { defineCommand } from "citty";
import {
  listPhysicalFunctions,
  type PhysicalFunction,
  readPhysicalFunction,
  setVirtualFunctions,
} from "../src/pci/bus/sriov.ts";
import { openNames } from "../src/pci/decode/names.ts";
import { ADDRESS, functionAddress } from "./bus/address.ts";
import { columns } from "./cli/columns.ts";
import { hex, wholeNumber } from "./cli/number.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

/** A bus has 256 functions, and a device's virtual functions 256 buses at most. */
const MOST = 0xffff;

const command = defineCommand({
  meta: {
    name: "vf.ts",
    description: `Show the virtual functions of a physical function (SR-IOV), or all physical functions. With --count,
create or remove virtual functions. Another number replaces all; that is refused if one is in use:
an interface with an address, a mounted disk, or open in a process. Creating and removing needs root.

The driver of the physical function creates them. vfio-pci does so if its parameter enable_sriov
is on. They are then opened with a token: the UUID with which the physical function was opened,
ADDRESS?vf_token=UUID.

Examples:
  bun run vf.ts
  bun run vf.ts 0000:03:00.0
  sudo bun run vf.ts eth0 --count 4 --autoprobe off
  sudo bun run vf.ts 03:00.0 --count 0

--json: address, driver (null is none), total (how many it can have), offset and stride (of the
routing ids), deviceId (hexadecimal text), autoprobe, and functions, an array of address, driver
and iommuGroup (number, noiommu) or null. An array of such objects if no function was named.
Exit codes: 0 done, 1 it failed, 2 usage.`,
  },
  args: {
    address: {
      type: "positional",
      required: false,
      description: `${ADDRESS} (default: all that can have some)`,
    },
    count: { type: "string", valueHint: "N", description: "Have this many virtual functions; 0 removes all" },
    autoprobe: {
      type: "enum",
      options: ["on", "off"],
      description: "Whether the kernel looks for drivers for those that are created; it remembers that",
    },
    force: {
      type: "boolean",
      default: false,
      description: "Remove virtual functions even if they are in use",
    },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(async () => {
      const count = args.count === undefined ? undefined : wholeNumber("--count", args.count, 0, MOST);
      const autoprobe = args.autoprobe === undefined ? undefined : args.autoprobe === "on";
      if (args.address === undefined) {
        if (count !== undefined || autoprobe !== undefined)
          throw new UsageError("say whose virtual functions: the address of the physical function");
        const all = listPhysicalFunctions();
        if (args.json) printJson(all.map(toJson));
        else if (all.length > 0) console.log(all.map(describe).join("\n\n"));
        else await say("info", "no PCI function can have virtual functions");
        return 0;
      }
      const found = readPhysicalFunction(functionAddress(args.address));
      const changes = count !== undefined || autoprobe !== undefined;
      const after = changes
        ? await setVirtualFunctions(found.function.address, count ?? found.functions.length, {
            force: args.force,
            autoprobe,
          })
        : found;
      if (args.json) printJson(toJson(after));
      else console.log(describe(after));
      return 0;
    }),
});

function describe({ function: of, total, functions, offset, stride, deviceId, autoprobe }: PhysicalFunction) {
  const ids = `${hex(of.vendor, 16).slice(2)}:${hex(deviceId, 16).slice(2)}`;
  const name = openNames().device(of.vendor, deviceId);
  const rows = functions.map((each) => [
    `  ${each.address}`,
    each.driver ?? "-",
    each.iommuGroup ? `IOMMU group ${each.iommuGroup.number}` : "no IOMMU group",
  ]);
  return [
    `${of.address}, with ${of.driver ?? "no driver"}: ${functions.length} of ${total} virtual functions`,
    `  ${ids}${name === undefined ? "" : ` ${name}`}, offset ${offset}, stride ${stride}, autoprobe ${autoprobe ? "on" : "off"}`,
    ...(rows.length > 0 ? [columns(rows)] : []),
  ].join("\n");
}

function toJson({ function: of, total, functions, offset, stride, deviceId, autoprobe }: PhysicalFunction) {
  return {
    address: of.address,
    driver: of.driver ?? null,
    total,
    offset,
    stride,
    deviceId: hex(deviceId, 16),
    autoprobe,
    functions: functions.map(({ address, driver, iommuGroup }) => {
      return { address, driver: driver ?? null, iommuGroup: iommuGroup ?? null };
    }),
  };
}

await runVerb(command);
