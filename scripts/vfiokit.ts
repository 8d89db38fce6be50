/**
 * All verbs in one program, `vfiokit VERB ...`: the entry of bin/vfiokit and of standalone binaries
 * (scripts/build.ts).
 */
import { basename, join } from "node:path";
import { cloneVerbs } from "./cli/remedy.ts";
import { say } from "./cli/say.ts";
import { verbs } from "./vfiokit/verbs.ts";

/** Where a standalone binary sees its own files. */
const INSIDE = "/$bunfs/";
/** Files that run as separate processes, elsewhere as `bun FILE ...`; here this program starts itself for them. */
const programs: Readonly<Record<string, () => Promise<unknown>>> = {
  "child.ts": () => import("../src/model/hosting/child.ts"),
  "trusting-child.ts": () => import("../src/model/hosting/trusting-child.ts"),
  "standby-program.ts": () => import("../src/model/hosting/standby-program.ts"),
};

const [word] = process.argv.splice(2, 1);
if (word === undefined) await refuse("say which verb");
else if (word.startsWith(INSIDE) && Object.hasOwn(programs, basename(word)))
  await programs[basename(word)]!();
else if (Object.hasOwn(verbs, word)) await verbs[word]!.run();
else if (word === "--help" || word === "-h") await (await import("./vfiokit/help.ts")).printHelp();
else if (word === "--version") console.log(`vfiokit ${await version()}, Bun ${Bun.version}`);
else if (cloneVerbs.includes(word) && !Bun.isStandaloneExecutable)
  await import(join(import.meta.dir, `${word}.ts`));
else if (cloneVerbs.includes(word))
  await refuse(`${word} needs a clone of the project: bun run ${word}.ts there; it is not in this program`);
else await refuse(`there is no verb "${word}"`);

async function version(): Promise<string> {
  if (process.env.VFIOKIT_BUILD) return process.env.VFIOKIT_BUILD;
  return (await Bun.file(join(import.meta.dir, "../package.json")).json()).version;
}

async function refuse(mistake: string): Promise<never> {
  await say("error", `${mistake}; --help says what there is`);
  process.exit(2);
}
