import { basename } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { type ArgsDef, type CommandDef, parseArgs, renderUsage, runMain } from "citty";
import { say } from "./say.ts";

/**
 * Runs a verb on the process's arguments; exits with 2 where they make no sense. `bun run` starts verbs in the package's
 * folder, but paths on a command line are meant from where it was typed.
 */
export async function runVerb<T extends ArgsDef>(command: CommandDef<T>): Promise<void> {
  const {
    npm_package_name: name,
    npm_lifecycle_event: script,
    npm_config_local_prefix: typedIn,
  } = process.env;
  if (name === "vfiokit" && script === basename(process.argv[1]!) && typedIn) process.chdir(typedIn);
  const mistake = findMistake(process.argv.slice(2), command.args as CommandDef["args"]);
  if (mistake !== undefined) {
    await say("error", `${mistake}; --help says what there is`);
    process.exit(2);
  }
  await runMain(command, { showUsage: printUsage });
}

/** In colours on a terminal only: what is kept in a file or searched has none. */
export async function printUsage<T extends ArgsDef>(
  command: CommandDef<T>,
  parent?: CommandDef<T>,
): Promise<void> {
  const usage = await renderUsage(command, parent);
  console.log(`${process.stdout.isTTY ? usage : stripVTControlCharacters(usage)}\n`);
}

/**
 * What is wrong with a command line, as far as citty would let it pass (an unknown option, a word too many) or end with
 * an exit code of its own (a choice that is none). Undefined when nothing is; what the values mean is the verb's business.
 */
function findMistake(rawArgs: readonly string[], args: CommandDef["args"]): string | undefined {
  if (args === undefined || typeof args === "function" || args instanceof Promise)
    throw new TypeError("a verb's args are a plain object");
  const definitions = Object.entries(args);
  const asText = definitions.map(([name, definition]) => [
    name,
    definition.type === "enum" ? { ...definition, type: "string" } : definition,
  ]);
  const given = parseArgs([...rawArgs], Object.fromEntries(asText) as ArgsDef);

  const known = new Set(["_", "help", "h"]);
  for (const [name, definition] of definitions) {
    const aliases = "alias" in definition ? definition.alias : [];
    for (const key of [name, ...[aliases ?? []].flat()]) known.add(key);
    known.add(name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()));
  }
  const stranger = Object.keys(given).find((key) => !known.has(key));
  if (stranger !== undefined) return `there is no option ${stranger.length > 1 ? "--" : "-"}${stranger}`;

  const words = definitions.filter(([, definition]) => definition.type === "positional");
  const endless = words.at(-1)?.[1].valueHint === "...";
  if (!endless && given._.length > words.length) return `"${given._[words.length]}" is one word too many`;

  for (const [name, definition] of definitions) {
    const value: unknown = given[name];
    if (definition.type === "enum" && value !== undefined && !definition.options?.includes(String(value)))
      return `--${name} ${value}: it must be one of ${definition.options?.join(", ")}`;
  }
  return undefined;
}
