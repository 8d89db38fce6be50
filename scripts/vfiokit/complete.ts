/**
 * Completion of command lines: `vfiokit complete SHELL` prints a shell's script, which asks `vfiokit complete -- WORD...`. An
 * answer has a line for each word that may stand in the last one's place, and, behind a tab, what it is. Without any the shell
 * completes files, as most arguments are.
 *
 * @bomb.sh/tab, which has scripts for these shells, too, always tells them not to complete files. Its script for bash works
 * only with the package bash-completion, and has the shell evaluate the words that were typed, `$(...)` and all.
 */
import type { ArgsDef } from "citty";
import { say } from "../cli/say.ts";
import { takeArguments } from "../cli/usage.ts";
import { packageVerbs, type Verb, verbs } from "./verbs.ts";

const scripts: Readonly<Record<string, string>> = {
  bash: `# In ~/.bashrc: source <(vfiokit complete bash)
_vfiokit() {
  local answers
  mapfile -t answers < <("$1" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null)
  COMPREPLY=("\${answers[@]%%$'\\t'*}")
}
complete -o bashdefault -o default -F _vfiokit vfiokit`,
  zsh: `#compdef vfiokit
# In ~/.zshrc, after compinit: source <(vfiokit complete zsh)
_vfiokit() {
  local -a answers
  answers=("\${(@f)$("$words[1]" complete -- "\${(@)words[2,CURRENT]}" 2> /dev/null)}")
  answers=("\${(@)\${(@)answers:#}//:/\\\\:}")
  answers=("\${(@)answers/$'\\t'/:}")
  if (( $#answers )); then _describe vfiokit answers; else _files; fi
}
if [[ $funcstack[1] == _vfiokit ]]; then _vfiokit "$@"; else compdef _vfiokit vfiokit; fi`,
  fish: `# vfiokit complete fish > ~/.config/fish/completions/vfiokit.fish
function __vfiokit_answers
    set -l words (commandline -opc)
    $words[1] complete -- $words[2..] (commandline -ct) 2> /dev/null
end
complete -c vfiokit -e
complete -c vfiokit -n 'count (__vfiokit_answers) > /dev/null' -f -a '(__vfiokit_answers)'`,
};

interface Answer {
  readonly word: string;
  readonly about: string;
}

/** Carries out `vfiokit complete`, on the process's arguments. */
export async function complete(): Promise<void> {
  const [shell = "", ...words] = process.argv.splice(2);
  if (shell === "--") {
    for (const { word, about } of await answer(words)) console.log(about ? `${word}\t${about}` : word);
  } else if (Object.hasOwn(scripts, shell)) console.log(scripts[shell]);
  else {
    await say("error", `vfiokit complete needs the name of a shell: ${Object.keys(scripts).join(", ")}`);
    process.exit(2);
  }
}

/** What may stand in the place of the last word, which may be empty. */
async function answer(words: readonly string[]): Promise<Answer[]> {
  // bash takes --rc=cbr for three words.
  const line = words.filter((word) => word !== "=");
  if (words.at(-1) === "=") line.push("");
  const last = line.pop() ?? "";
  const [assignment = "", option] = /^(-[^=]*)=/.exec(last) ?? [];
  const candidates = await answersTo(line, option, last);
  return candidates
    .map(({ word, about }) => ({ word: `${assignment}${word}`, about }))
    .filter(({ word }) => word.startsWith(last));
}

async function answersTo(line: readonly string[], assigned: string | undefined, last: string) {
  const known: Readonly<Record<string, Verb>> = Bun.isStandaloneExecutable
    ? verbs
    : { ...verbs, ...packageVerbs };
  const [verb, ...before] = line;
  if (verb === undefined) {
    const answers = Object.entries(known).map(([word, { about }]) => ({ word, about }));
    if (last.startsWith("-")) return [HELP, { word: "--version", about: "Print the version" }];
    return [...answers, { word: "complete", about: "Print a shell's script for completion" }];
  }
  if (verb === "complete") return Object.keys(scripts).map((word) => ({ word, about: "" }));
  // What follows -- is another program's command line.
  if (!Object.hasOwn(known, verb) || before.includes("--")) return [];
  const args = await argumentsOf(known[verb]!);
  const chosen = choices(args, assigned ?? before.at(-1) ?? "");
  if (chosen !== undefined) return chosen.map((word) => ({ word, about: "" }));
  return assigned === undefined && last.startsWith("-") ? options(args) : [];
}

const HELP: Answer = { word: "--help", about: "Print what there is" };

/** A verb's arguments: it is loaded, but not run. */
async function argumentsOf(verb: Verb): Promise<ArgsDef> {
  let taken: ArgsDef = {};
  takeArguments((args) => {
    taken = args;
  });
  await verb.run();
  return taken;
}

function options(args: ArgsDef): Answer[] {
  const answers = Object.entries(args).flatMap(([name, definition]) => {
    const about = definition.description?.split("\n", 1)[0] ?? "";
    return definition.type === "positional"
      ? []
      : spellings(name, definition).map((word) => ({ word, about }));
  });
  return [...answers, HELP];
}

/** The values that an option, as it was typed, may have; undefined where they are no enumeration. */
function choices(args: ArgsDef, option: string): readonly string[] | undefined {
  const entry = Object.entries(args).find(([name, definition]) =>
    spellings(name, definition).includes(option),
  );
  return entry?.[1].type === "enum" ? entry[1].options : undefined;
}

/** "--output" and "-o". */
function spellings(name: string, definition: ArgsDef[string]): string[] {
  const aliases = "alias" in definition ? [definition.alias ?? []].flat() : [];
  return [`--${name}`, ...aliases.map((alias) => `-${alias}`)];
}
