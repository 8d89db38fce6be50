/** Reports what prevents driving devices from user space, and what to do about it. */
import { defineCommand } from "citty";
import { examine } from "../src/doctor/examine.ts";
import type { Finding, Verdict } from "../src/doctor/facts.ts";
import { ADDRESS, functionAddress } from "./bus/address.ts";
import { wordParts } from "./cli/remedy.ts";
import { runVerb } from "./cli/usage.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const command = defineCommand({
  meta: {
    name: "doctor.ts",
    description: `Examine this machine and a PCI function: show what prevents driving it from user space, and the
command that repairs it. Without an address, examines all functions that are bound to a driver for
user space, or meant to be. Changes nothing, with one exception: if you name a function that no
kernel driver and no process has, the first word of its lowest region is read. If VFIO has the
function, this opens it, and so resets it.

Examples:
  bun run doctor.ts
  bun run doctor.ts 0000:00:09.0
  bun run doctor.ts 00:09.0 --json

--json: system, an array of check, verdict (ok, warning, problem, not applicable), text, and fix
or null; functions, an array of address and findings of the same form.
Exit codes: 0 no problem, 1 at least one, 2 usage.`,
  },
  args: {
    address: { type: "positional", required: false, description: ADDRESS },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(() => {
      const { system, functions } = examine(
        args.address === undefined ? undefined : functionAddress(args.address),
      );
      if (args.json)
        printJson({
          system: system.map(toJson),
          functions: functions.map(({ address, findings }) => ({
            address,
            findings: findings.map(toJson),
          })),
        });
      else
        console.log(
          [
            describe("this machine", system),
            ...functions.map(({ address, findings }) => describe(address, findings)),
          ].join("\n\n"),
        );
      const all = [...system, ...functions.flatMap(({ findings }) => findings)];
      return all.some(({ verdict }) => verdict === "problem") ? 1 : 0;
    }),
});

const marks: Record<Verdict, string> = {
  ok: "ok",
  warning: "warning",
  problem: "PROBLEM",
  "not applicable": "-",
};

function describe(title: string, findings: readonly Finding[]): string {
  const nameWidth = Math.max(...findings.map(({ check }) => check.length));
  const markWidth = Math.max(...Object.values(marks).map((mark) => mark.length));
  const indent = " ".repeat(2 + markWidth + 2);
  const lines = findings.flatMap(({ check, verdict, text, fix }) => [
    `  ${marks[verdict].padEnd(markWidth)}  ${check.padEnd(nameWidth)}  ${text}`,
    ...(fix === undefined ? [] : [`${indent}${" ".repeat(nameWidth)}  fix: ${wordParts(fix)}`]),
  ]);
  return [title, ...lines].join("\n");
}

function toJson({ check, verdict, text, fix }: Finding) {
  return { check, verdict, text, fix: fix ? wordParts(fix) : null };
}

await runVerb(command);
