/** Runs the commands that a document shows, and compares what they print with what it shows. */
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");

/** The fenced blocks of a language. */
export function blocksOf(document: string, language: string): string[] {
  return [...document.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map((match) => match[1]!);
}

/** A command in a document, and what the document shows as its output. */
export interface Step {
  readonly command: string;
  readonly shown: string;
}

/** The commands of a document's console blocks, which begin with "$ ". */
export function stepsOf(document: string): Step[] {
  return blocksOf(document, "console")
    .flatMap((block) => block.split(/^\$ /m).slice(1))
    .map((step) => {
      const [command, ...shown] = step.split("\n");
      return { command: command!, shown: shown.join("\n") };
    });
}

/** A checkout as a stranger has it, in a folder of its own, so that commands leave nothing in this one. */
export interface Checkout extends Disposable {
  file(name: string): string;
  /** Runs a line of bash in it. Gives both outputs; throws if it fails. */
  bash(line: string, env?: Readonly<Record<string, string>>): Promise<string>;
}

export function openCheckout(): Checkout {
  const path = mkdtempSync(join(tmpdir(), "vfiokit-document-"));
  for (const name of ["src", "scripts", "test", "node_modules"])
    symlinkSync(join(root, name), join(path, name));
  for (const name of ["package.json", "bunfig.toml"]) copyFileSync(join(root, name), join(path, name));
  return {
    file: (name) => join(path, name),
    async bash(line, env = {}) {
      const child = Bun.spawn(["bash", "-o", "pipefail", "-c", `exec 2>&1\n${line}`], {
        cwd: path,
        stdin: "ignore",
        env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}`, ...env },
      });
      const text = await new Response(child.stdout).text();
      if ((await child.exited) !== 0) throw new Error(`${line}: ${text}`);
      return text;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/**
 * The lines of an output without what differs from run to run (times), from system to system (libvpx's version), and from
 * terminal to pipe (the mark of a line). What is fetched is told only once on a machine.
 */
export function comparable(output: string): string[] {
  return output
    .split("\n")
    .map((line) =>
      line
        .replace(/^(ℹ|\[info\]) /, "")
        .replace(/^( ERROR |\[error\]) /, "")
        .replace(/\d+\.\d+ s \(\d+(\.\d+)? fps\)/, "TIME")
        .replace(/libvpx \d+\.\d+\.\d+/, "libvpx")
        .replace(/Linux \S+, (TCG|KVM): .*/, "LINUX"),
    )
    .filter((line) => line !== "" && !/^fetching .*, once\)$/.test(line))
    .sort();
}
