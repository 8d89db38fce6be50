/** Shows a function's configuration space, decoded. */
import { defineCommand } from "citty";
import { decodeConfig } from "../src/pci/decode/decode.ts";
import { describe } from "../src/pci/decode/describe.ts";
import { openNames } from "../src/pci/decode/names.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";
import { toJson } from "./info/json.ts";
import { fromFile, fromMachine, fromTarget, isCutShort } from "./info/source.ts";

const command = defineCommand({
  meta: {
    name: "info.ts",
    description: `Decode a PCI function's configuration space: header, regions and every capability, in the words of
lspci -vvv. Only reads, through sysfs; reading beyond the first 64 bytes needs root. Names are from
pci.ids, if it is installed.

Examples:
  sudo bun run info.ts 0000:00:09.0
  bun run info.ts model:vp9 --json
  lspci -xxxx | bun run info.ts --file -
  bun run info.ts 01:00.0 --file dump.txt

A vfio-user:/path/to.sock, model:vp9, or an address after vfio: or sysfs: is opened to read it,
which turns memory decode and bus master on.

--json: an object for one function, an array for --file and for all functions: address, class,
vendor, device, subsystemVendor, subsystem, revision, names, driver, iommuGroup, numaNode, irq
and bridge as in list.ts, the header's other fields (a bridge's buses and windows are in
buses), regions, registers and capabilities. A register has a name, an offset, a value, and
fields named as in the PCI Express specification: booleans, numbers, or named choices.
64-bit values and addresses are hexadecimal text. Undecoded capabilities are given as raw bytes.
If a function reads as all ones, answers is false and there are no registers. interruptPin is ?
for a number beyond D. The windows of a CardBus bridge are two of memory, then two of I/O; its
legacyModeBase is the I/O port of its 16-bit interface.
Exit codes: 0 done, 1 it failed, 2 usage.`,
  },
  args: {
    target: {
      type: "positional",
      required: false,
      description:
        "0000:00:09.0, 00:09.0, vfio-user:/path/to.sock or model:vp9 (default: all functions, or all of --file)",
    },
    file: {
      type: "string",
      valueHint: "PATH",
      description: "Decode a dump of lspci -xxxx or hexdump -C, or raw bytes; - is standard input",
    },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(async () => {
      const { target, file } = args;
      const sources =
        file !== undefined
          ? fromFile(file, target)
          : target !== undefined
            ? [await fromTarget(target)]
            : fromMachine();
      const names = openNames();
      const decoded = sources.map((source) => decodeConfig(source.bytes, source.regions));
      if (args.json) {
        const objects = decoded.map((each, i) => toJson(each, names, sources[i]!));
        printJson(target !== undefined ? objects[0] : objects);
      } else if (decoded.length > 0) {
        console.log(decoded.map((each, i) => describe(each, names, sources[i]!.around)).join("\n\n"));
      }
      if (file === undefined && sources.some(isCutShort))
        await say(
          "info",
          "capabilities are beyond the first 64 bytes, and reading those needs root: run it with sudo",
        );
      return 0;
    }),
});

await runVerb(command);
