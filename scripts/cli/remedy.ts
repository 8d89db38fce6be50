/** How the toolkit's commands are typed where it runs, in errors, advice and help. */
import { basename } from "node:path";
import { type Remedy, remediesOf } from "../../src/remedy/remedy.ts";

/** Files of scripts/, without their endings. */
export const verbNames = [
  ...["encode", "list", "info", "doctor", "bind", "release", "rescan", "enable", "vf"],
  ...["regs", "registers", "peek", "poke", "config", "irq", "reset", "resize", "model", "setup"],
] as const;
/** Those that need the package's files, and are not in a standalone binary. */
export const packageVerbNames = ["guest", "build"] as const;
/** Those that need a clone of the project. */
export const cloneVerbs: readonly string[] = ["bench", "campaign", "docs"];

/**
 * How verbs are run: each by its file in a clone; by the command `vfiokit`, alone or through npx; by a standalone binary of
 * that name.
 */
export type Way = "clone" | "npx" | "command" | "binary";

/** `program` is the file that runs, `npmCommand` what npm calls its own command: "exec" for npx. */
export function wayOf(program: string, npmCommand: string | undefined, isBinary: boolean): Way {
  if (isBinary) return "binary";
  if (basename(program) !== "vfiokit.ts") return "clone";
  return npmCommand === "exec" ? "npx" : "command";
}

const here = wayOf(process.argv[1] ?? "", process.env.npm_command, Bun.isStandaloneExecutable);

/** "bun run bind.ts 0000:00:09.0 --force", ready to be pasted into a shell. */
export function wordCommand({ verb, args }: Remedy, way: Way = here): string {
  const command = `vfiokit ${verb}`;
  const program = { clone: `bun run ${verb}.ts`, npx: `npx ${command}`, command, binary: command };
  return [program[way], ...args.map(quoted)].join(" ");
}

function quoted(word: string): string {
  return /^[\w./:=@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * What is wrong and what helps, in one sentence: "MESSAGE: COMMAND" where the message says what the command is for,
 * "MESSAGE; COMMAND does this, and COMMAND does that" elsewhere. Commands begin a line of their own after a message of
 * several.
 */
export function wordRemedies(message: string, remedies: readonly Remedy[], way: Way = here): string {
  const after = (mark: string) => (message.includes("\n") ? "\n" : mark);
  const bare = remedies.filter(({ does }) => does === undefined).map((remedy) => wordCommand(remedy, way));
  const told = remedies
    .filter(({ does }) => does !== undefined)
    .map((remedy) => `${wordCommand(remedy, way)} ${remedy.does}`);
  return [
    message,
    ...(bare.length > 0 ? [after(": "), bare.join(", or ")] : []),
    ...(told.length > 0 ? [after("; "), told.join(", and ")] : []),
  ].join("");
}

/** An error's message with its remedies; any other value as text. */
export function wordError(error: unknown, way: Way = here): string {
  return error instanceof Error ? wordRemedies(error.message, remediesOf(error), way) : String(error);
}

/** A sentence of words and commands. */
export function wordParts(parts: readonly (string | Remedy)[], way: Way = here): string {
  return parts.map((part) => (typeof part === "string" ? part : wordCommand(part, way))).join("");
}

const inBinary = verbNames.join("|");
const inPackage = [...verbNames, ...packageVerbNames].join("|");
/** A verb in a text: "bun run list.ts", or "list.ts" where that is no path. */
const mention = (verbs: string) => new RegExp(`(?<![\\w./-])(bun run )?(${verbs})\\.ts\\b`, "g");

/** Text of --help, written as for a clone. A verb that is not in a binary stays what it is there. */
export function wordMentions(text: string, way: Way = here): string {
  if (way === "clone") return text;
  return text.replace(mention(way === "binary" ? inBinary : inPackage), (_, run: string | undefined, verb) =>
    run === undefined ? `vfiokit ${verb}` : wordCommand({ verb, args: [] }, way),
  );
}
