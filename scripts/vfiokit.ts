/**
 * All verbs in one program, `vfiokit VERB ...`: the entry of bin/vfiokit and of standalone binaries
 * (scripts/build.ts).
 */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { cloneVerbs } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import "./vfiokit/library.ts";
import { packageVerbs, runFile, verbs } from "./vfiokit/verbs.ts";

/** Where a standalone binary sees its own files. */
const INSIDE = "/$bunfs/";
/** Files that run as separate processes, elsewhere as `bun FILE ...`; here this program starts itself for them. */
const programs: Readonly<Record<string, () => Promise<unknown>>> = {
  "child.ts": () => import("../src/model/hosting/child.ts"),
  "trusting-child.ts": () => import("../src/model/hosting/trusting-child.ts"),
  "standby-program.ts": () => import("../src/model/hosting/standby-program.ts"),
};

const [word] = process.argv.splice(2, 1);
if (word === undefined) await refuse("the verb is missing");
else if (word.startsWith(INSIDE) && Object.hasOwn(programs, basename(word)))
  await programs[basename(word)]!();
else if (Object.hasOwn(verbs, word)) await verbs[word]!.run();
else if (word === "--help" || word === "-h") await (await import("./vfiokit/help.ts")).printHelp();
else if (word === "--version") console.log(`vfiokit ${await version()}, Bun ${Bun.version}`);
else if (word === "complete") await (await import("./vfiokit/complete.ts")).complete();
else if (Object.hasOwn(packageVerbs, word)) {
  if (Bun.isStandaloneExecutable)
    await refuse(`${word} is not in this program; the npm package has it: npm install vfiokit`);
  await packageVerbs[word]!.run();
} else if (cloneVerbs.includes(word)) {
  if (!existsSync(join(import.meta.dir, `${word}.ts`)))
    await refuse(
      `${word} is not in the package: it needs a clone of the project, and bun run ${word}.ts there`,
    );
  await runFile(word);
} else await refuse(`unknown verb "${word}"`);

async function version(): Promise<string> {
  if (process.env.VFIOKIT_BUILD) return process.env.VFIOKIT_BUILD;
  return (await Bun.file(join(import.meta.dir, "../package.json")).json()).version;
}

async function refuse(mistake: string): Promise<never> {
  await say("error", `${mistake}; see --help`);
  process.exit(2);
}
