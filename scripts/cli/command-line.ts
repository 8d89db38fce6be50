/** A command line with a command of its own at the end. */
import type { ArgsDef } from "citty";

export interface CommandLine {
  /** The verb's own options, as they were given. */
  options: string[];
  /** Every value of an option that may be given more than once. */
  all(name: string): string[];
  /** What stands behind them. */
  command: string[];
}

/**
 * Splits a verb's arguments where the first word is that is no option, nor an option's value. A `--` may stand there;
 * it can't be relied on, for `bun run VERB -- COMMAND` takes it out.
 */
export function splitCommandLine(words: readonly string[], args: ArgsDef): CommandLine {
  const takesValue = (name: string) => args[name]?.type === "string" || args[name]?.type === "enum";
  const given: [name: string, value: string][] = [];
  let at = 0;
  while (at < words.length && words[at]!.startsWith("-") && words[at] !== "--") {
    const [, name = "", value] = /^--?([^=]*)(?:=(.*))?$/s.exec(words[at++]!) ?? [];
    if (value !== undefined) given.push([name, value]);
    else if (takesValue(name) && at < words.length) given.push([name, words[at++]!]);
  }
  return {
    options: words.slice(0, at),
    all: (wanted) => given.filter(([name]) => name === wanted).map(([, value]) => value),
    command: words.slice(words[at] === "--" ? at + 1 : at),
  };
}
