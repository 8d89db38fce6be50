/** Releases PCI functions to the drivers they had. */
import { defineCommand } from "citty";
import { boundAddresses, type DriverChange, release } from "../src/pci/bus/binding.ts";
import { ADDRESSES, functionAddresses } from "./bus/address.ts";
import { wordError, wordMentions } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const command = defineCommand({
  meta: {
    name: "release.ts",
    description: `Give PCI functions back to the drivers that they had before bind.ts, or to none if they had none.
For a function that bind.ts did not bind, the kernel chooses the driver. If one can't be released,
the others still are. Needs root.

Examples:
  bun run release.ts 0000:00:09.0
  bun run release.ts 00:09.0 10ee:7022
  bun run release.ts --all

--json: released, an array of address, from and to (null is no driver); failed, an array of
address and error.
Exit codes: 0 released, 1 at least one was not, 2 usage.`,
  },
  args: {
    address: { type: "positional", required: false, valueHint: "...", description: ADDRESSES },
    all: { type: "boolean", default: false, description: "Release everything that bind.ts bound" },
    force: { type: "boolean", default: false, description: "Release even if the function is in use" },
    json: jsonArg,
  },
  run: ({ args }) =>
    endWith(async () => {
      if ((args._.length === 0) !== args.all)
        throw new UsageError("say which function to release: its address, or --all");
      const released: DriverChange[] = [];
      const failed: { address: string; error: string }[] = [];
      for (const address of args.all ? boundAddresses() : functionAddresses(args._)) {
        try {
          released.push(await release(address, args));
        } catch (error) {
          failed.push({ address, error: wordError(error) });
        }
      }
      if (args.json) printJson({ released, failed });
      else {
        for (const { address, from, to } of released) console.log(describe(address, from, to));
        if (args.all && released.length === 0 && failed.length === 0)
          console.log(wordMentions("no function is bound by bind.ts"));
      }
      for (const { error } of failed) await say("error", error);
      return failed.length > 0 ? 1 : 0;
    }),
});

function describe(address: string, from: string | null, to: string | null): string {
  if (from === to) return `${address} stays with ${to ?? "no driver"}`;
  return `${address} went from ${from ?? "no driver"} back to ${to ?? "no driver"}`;
}

await runVerb(command);
