/** Reads and writes configuration space by name. */
import { defineCommand } from "citty";
import { whySilent } from "../src/device/silence.ts";
import { ExitCode } from "./cli/exit-code.ts";
import { wordRemedies } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { deviceArgs, endWith, OPENING, printJson, required } from "./cli/verb.ts";
import { carryOut, describeOutcome, type Outcome, outcomeAsJson } from "./config/carry-out.ts";
import { allNames, describeNames, namesOf } from "./config/list.ts";
import { parseOperation } from "./config/operation.ts";
import { capabilitiesOf, resolve } from "./config/resolve.ts";
import { openFor } from "./device/open.ts";
import type { Opened } from "./device/place.ts";
import { whySilentAt } from "./device/silence.ts";

/** Any place in configuration space: its own offset does not matter to opening. */
const CONFIG_PLACE = { space: "config", offset: 0 } as const;

/** Why the device does not answer, if so. It is asked only after a write, and if a value read is all ones. */
function whySilentAfter(device: Opened, outcomes: readonly Outcome[], wrote: boolean): string | undefined {
  if (wrote) {
    const why = whySilent(device);
    return why && wordRemedies(why.text, why.remedies);
  }
  for (const { access, values, before } of outcomes) {
    const read = before ?? values;
    const width = access.width === 64 ? 32 : access.width;
    const words = access.width === 64 ? read.flatMap((each) => [each & 0xffff_ffffn, each >> 32n]) : read;
    const why = whySilentAt(device, CONFIG_PLACE, width, words);
    if (why !== undefined) return why;
  }
  return undefined;
}

function list(spec: string | undefined, json: boolean): void {
  if (spec === undefined) {
    const names = allNames();
    if (json) printJson({ names });
    else console.log(describeNames(names));
    return;
  }
  using device = openFor(spec, [CONFIG_PLACE], "r", {});
  const names = namesOf(capabilitiesOf(device)());
  if (json) printJson({ device: spec, names });
  else console.log(describeNames(names));
}

const command = defineCommand({
  meta: {
    name: "config.ts",
    description: `Read and write configuration space by name, as setpci does. Operations are carried out in their
order, each by one access of the register's width. All are checked before the first one.

Examples:
  bun run config.ts 0000:00:09.0 COMMAND STATUS
  bun run config.ts 0000:00:09.0 CAP_EXP.linkStatus ECAP_AER+10.l
  sudo bun run config.ts 00:1c.0 COMMAND=6:6 CAP_PM+4.w=8100:8100 --dry-run
  bun run config.ts 0000:00:09.0 40.l=12345678,0 --read-back
  bun run config.ts 0000:00:09.0 --list

An operation is a register to read, or REGISTER=VALUE[:MASK][,...] to write. A value with a mask
changes only the bits of the mask; the register is read first. Write-1-to-clear
bits outside the mask are then written back as they were read, and so cleared. Several values are
for consecutive registers.

A register is OFFSET.WIDTH or NAME[+OFFSET][.WIDTH], where NAME is
  COMMAND, BAR0, ...    a register of the header, by setpci's name
  CAP_EXP, ECAP_AER     a capability, by setpci's name; CAP10, ECAP1 by its id
  CAP_EXP.linkControl   a register of it, by its name in info.ts --json, or as
  CAP_EXP.LnkCtl        in the text of info.ts
and WIDTH is b, w or l: 8, 16 or 32 bits. A register that has 64 is accessed in two halves, the
low one first. @N after that is the Nth such capability, from 0. Case does not matter. Numbers of
operations are hexadecimal, with or without 0x.

Only what an operation needs is read: for capabilities the header and their list, and for the
fields of a register that is shown, what their text tells of, too.

--json: device, dryRun, answers (whether the device answers), and operations, each with place,
register (its name in info.ts --json, if it has one), offset and width (bits) as numbers, write
(whether it is one), values (read or written), before (if it was read before a write), readBack,
and fields of what was read last. With --list: device and names, each with name, offset, width and
about.

${OPENING}
If VFIO does not have the function, its configuration space is accessed without opening the device,
whatever driver has it: bridges, too.
A device that has gone away reads as all ones. If a value is all ones, and after writes, the Command
register is read to find out.
Exit codes: 0 done, 1 the device failed or lacks the register, 2 usage, 5 the device does not
answer (the values are printed all the same).`,
  },
  args: {
    ...deviceArgs,
    operations: {
      type: "positional",
      required: false,
      valueHint: "...",
      description: "REGISTER to read, REGISTER=VALUE[:MASK][,...] to write",
    },
    "dry-run": {
      type: "boolean",
      default: false,
      description: "Read what would be overwritten, show old -> new value, and write nothing",
    },
    "read-back": {
      type: "boolean",
      default: false,
      description: "Read each written register again and show it",
    },
    list: {
      type: "boolean",
      default: false,
      description: "List the names of the device's registers, or without a device all names",
    },
  },
  run: ({ args }) =>
    endWith(async () => {
      const texts = args._.slice(1);
      if (args.list) {
        if (texts.length > 0) throw new UsageError("--list takes no operations");
        list(args.spec, args.json);
        return 0;
      }
      const spec = required(args.spec, "the device");
      if (texts.length === 0)
        throw new UsageError("say which register to read or write, such as COMMAND; --list shows the names");
      const operations = texts.map(parseOperation);
      const dryRun = args["dry-run"];
      const manner = { dryRun, readBack: args["read-back"] };
      const wrote = !dryRun && operations.some(({ changes }) => changes.length > 0);

      using device = openFor(spec, [CONFIG_PLACE], wrote ? "r+" : "r", {});
      const accesses = resolve(device, operations);
      const labelWidth = Math.max(...accesses.map(({ place }) => place.length));
      const outcomes = accesses.map((access) => {
        const outcome = carryOut(device.config, access, manner);
        // At once: a later one may fail.
        if (!args.json) console.log(describeOutcome(outcome, labelWidth, dryRun));
        return outcome;
      });
      const silent = whySilentAfter(device, outcomes, wrote);
      if (args.json)
        printJson({
          device: spec,
          dryRun,
          answers: silent === undefined,
          operations: outcomes.map(outcomeAsJson),
        });
      if (silent === undefined) return 0;
      await say("error", `${spec}: ${silent}`);
      return ExitCode.SILENT;
    }),
});

await runVerb(command, { required: ["spec"] });
