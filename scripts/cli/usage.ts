import "./own-settings.ts";
import "../../src/os/bun-version.ts";
import { basename } from "node:path";
import { type ArgDef, type ArgsDef, type CommandDef, parseArgs, runMain } from "citty";
import { filled, twoColumns } from "./layout.ts";
import { wordMentions } from "./remedy.ts";
import { say } from "./say.ts";

/** Parts of the usage line besides the options and the optional words. */
export interface UsageLine {
  /** Required arguments. The verb itself checks them, with its own messages. */
  readonly required?: readonly string[];
  /** Words that may follow. */
  readonly rest?: string;
  /** What to say of options, or of an option and its value, that users of other programs may try. */
  readonly answers?: Readonly<Record<string, string>>;
}

let take: ((args: ArgsDef) => void) | undefined;

/** From now on {@link runVerb} hands a verb's arguments over instead of running it. */
export function takeArguments(taker: (args: ArgsDef) => void): void {
  take = taker;
}

/**
 * Runs a verb on the process's arguments; exits with 2 after a usage error. `bun run` starts verbs in the
 * package's folder, but paths on a command line are relative to where it was typed.
 */
export async function runVerb<T extends ArgsDef>(
  command: CommandDef<T>,
  line: UsageLine = {},
): Promise<void> {
  if (take) {
    take(plain(command.args ?? {}) as ArgsDef);
    return;
  }
  const {
    npm_package_name: name,
    npm_lifecycle_event: script,
    npm_config_local_prefix: typedIn,
  } = process.env;
  if (name === "vfiokit" && script === basename(process.argv[1]!) && typedIn) process.chdir(typedIn);
  const mistake = findMistake(process.argv.slice(2), command.args as CommandDef["args"], line.answers);
  if (mistake !== undefined) {
    await say("error", `${mistake}; see --help`);
    process.exit(2);
  }
  await runMain(command, { showUsage: async (shown) => printUsage(shown, line) });
}

/**
 * Prints --help: the same in a pipe and on a terminal, at most 80 columns wide, without a broken word. Its texts name verbs as
 * a clone has them, "bun run list.ts"; printed are the names that they have where this runs.
 */
export function printUsage<T extends ArgsDef>(command: CommandDef<T>, line: UsageLine = {}): void {
  const meta = plain(command.meta ?? {});
  const name = wordMentions(meta.name ?? "");
  const description = wordMentions(meta.description ?? "");
  const definitions = Object.entries<ArgDef>(plain(command.args ?? {}));
  const isWord = ([, { type }]: [string, ArgDef]) => type === "positional";
  const [words, options] = [definitions.filter(isWord), definitions.filter((entry) => !isWord(entry))];
  const verbs = Object.entries(plain(command.subCommands ?? {})).map(([verb, sub]): [string, string] => [
    verb,
    plain(plain(sub as CommandDef).meta ?? {}).description ?? "",
  ]);

  const isRequired = (argument: string) => line.required?.includes(argument) ?? false;
  const usage = [
    `USAGE ${name}`,
    ...(options.length > 0 ? ["[OPTIONS]"] : []),
    ...options.filter(([option]) => isRequired(option)).map((entry) => spelled(entry).split(", ").at(-1)!),
    ...words.map(([word, { valueHint = "" }]) => {
      const shown = word.toUpperCase() + valueHint;
      return isRequired(word) ? `<${shown}>` : `[${shown}]`;
    }),
    ...(verbs.length > 0 ? ["COMMAND ..."] : []),
    ...(line.rest === undefined ? [] : [line.rest]),
  ].join(" ");

  const parts = [filled(description), filled(usage)];
  const list = (title: string, rows: readonly [string, string][]) => {
    if (rows.length > 0) parts.push(`${title}\n\n${twoColumns(rows)}`);
  };
  list(
    "ARGUMENTS",
    words.map(([word, definition]) => [word.toUpperCase(), explained(definition)]),
  );
  list(
    "OPTIONS",
    options.map((entry) => [spelled(entry), explained(entry[1])]),
  );
  list("COMMANDS", verbs);
  if (verbs.length > 0) parts.push(`${name} COMMAND --help describes each.`);
  console.log(`${parts.join("\n\n")}\n`);
}

/** Narrows to a plain object, which is how verbs are defined; citty would also take a function or a promise. */
function plain<T extends object>(value: T): Exclude<T, ((...args: never[]) => unknown) | Promise<unknown>> {
  if (typeof value === "function" || value instanceof Promise)
    throw new TypeError("a verb is described by plain objects");
  return value as Exclude<T, ((...args: never[]) => unknown) | Promise<unknown>>;
}

/** "-o, --output OUT": an option as typed. */
function spelled([option, definition]: [string, ArgDef]): string {
  const aliases = "alias" in definition ? [definition.alias ?? []].flat() : [];
  const names = [...aliases.map((alias) => `${alias.length > 1 ? "--" : "-"}${alias}`), `--${option}`].join(
    ", ",
  );
  if (definition.type === "boolean") return names;
  const choices = definition.type === "enum" ? definition.options?.join("|") : undefined;
  return `${names} ${definition.valueHint ?? choices ?? option.toUpperCase()}`;
}

function explained({ description = "", default: preset }: ArgDef): string {
  const text = wordMentions(description);
  return preset === undefined || preset === false || preset === "" ? text : `${text} (default: ${preset})`;
}

/**
 * Finds mistakes in a command line that citty would accept (an unknown option, an option without its value, a
 * word too many) or report with an exit code of its own (an invalid choice). Undefined if there are none. The
 * verb checks what the values mean.
 */
function findMistake(
  rawArgs: readonly string[],
  args: CommandDef["args"],
  answers: UsageLine["answers"] = {},
): string | undefined {
  const definitions = Object.entries(plain(args ?? {}) as ArgsDef);
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
  if (stranger !== undefined) {
    const answer = Object.hasOwn(answers, stranger) ? `: ${answers[stranger]}` : "";
    return `unknown option ${asTyped(stranger, rawArgs)}${answer}`;
  }

  const words = definitions.filter(([, definition]) => definition.type === "positional");
  const endless = words.at(-1)?.[1].valueHint === "...";
  if (!endless && given._.length > words.length) return `unexpected argument "${given._[words.length]}"`;

  for (const [name, definition] of definitions) {
    const value: unknown = given[name];
    if (value === "" && definition.type !== "positional")
      return `${spelled([name, definition])}: the value is missing`;
    if (definition.type === "enum" && value !== undefined && !definition.options?.includes(String(value)))
      return `--${name} ${value}: ${answers[`${name} ${value}`] ?? `it must be one of ${definition.options?.join(", ")}`}`;
  }
  return undefined;
}

/** An option as on the command line; the parser removes its dashes and a "no-". */
function asTyped(option: string, rawArgs: readonly string[]): string {
  const words = rawArgs.map((word) => word.split("=")[0]!);
  return [`--${option}`, `--no-${option}`].find((word) => words.includes(word)) ?? `-${option}`;
}
