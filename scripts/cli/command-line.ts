/** A command line that ends with a command of its own. */
import type { ArgsDef } from "citty";

export interface CommandLine {
  /** The verb's own options, as given. */
  options: string[];
  /** Every value of an option that may be given more than once. */
  all(name: string): string[];
  /** The words after them. */
  command: string[];
}

/**
 * Splits a verb's arguments at the first word that is neither an option nor an option's value. A `--` may
 * precede that word, but is not required, because `bun run VERB -- COMMAND` removes it.
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
