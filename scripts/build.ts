/** Builds standalone binaries. */
import { type ArgsDef, defineCommand } from "citty";
import { buildStandalone, type Standalone, type Target, targets } from "./build/standalone.ts";
import { columns } from "./cli/columns.ts";
import { splitCommandLine } from "./cli/command-line.ts";
import { cloneVerbs, packageVerbNames } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { runVerb } from "./cli/usage.ts";
import { UsageError } from "./cli/usage-error.ts";
import { endWith, jsonArg, printJson } from "./cli/verb.ts";

const args = {
  target: {
    type: "string",
    valueHint: "NAME",
    description: `One of ${Object.keys(targets).join(", ")}; may be repeated (default: all)`,
  },
  outdir: { type: "string", default: "dist", valueHint: "FOLDER", description: "Folder for the files" },
  "without-libvpx": {
    type: "boolean",
    default: false,
    description: "Leave Debian's libvpx9 out of the binaries for glibc, which are 3 MB smaller then",
  },
  json: jsonArg,
} satisfies ArgsDef;

const line = splitCommandLine(process.argv.slice(2), args);

function chooseTargets(names: readonly string[]): Target[] {
  for (const name of names)
    if (!Object.hasOwn(targets, name))
      throw new UsageError(`--target ${name}: it must be one of ${Object.keys(targets).join(", ")}`);
  return Object.keys(targets).filter((name) => names.length === 0 || names.includes(name)) as Target[];
}

const command = defineCommand({
  meta: {
    name: "build.ts",
    description: `Build vfiokit as one file for machines without Bun: vfiokit-linux-x64, -x64-musl, -arm64 and
-arm64-musl. Each contains the verbs (vfiokit list), the software model and Bun, but not
${[...packageVerbNames, ...cloneVerbs].join(", ")}. Those for glibc also contain Debian's libvpx9. Bun for the other machines is
downloaded from npm and checked against vfiokit's checksum of it; libvpx is downloaded from Debian's archive,
which needs apt. Both are kept in the cache folder.

Examples:
  bun run build.ts
  bun run build.ts --target linux-arm64 --outdir /tmp

--json: an array of target, path, sizeBytes.
Exit codes: 0 done, 1 it failed, 2 usage.`,
  },
  args,
  run: ({ args }) =>
    endWith(async () => {
      const built: Standalone[] = [];
      for (const target of chooseTargets(line.all("target")))
        built.push(
          await buildStandalone(target, args.outdir, {
            log: (text) => void say("info", text),
            libvpx: !args["without-libvpx"],
          }),
        );
      if (args.json) printJson(built);
      else
        console.log(columns(built.map(({ path, sizeBytes }) => [path, `${Math.round(sizeBytes / 1e6)} MB`])));
      return 0;
    }),
});

await runVerb(command);
