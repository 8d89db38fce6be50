/** The package as npm packs it, installed into folders of their own, and commands that are run there as a stranger does. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dir, "..");

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a line of bash in a folder, in which `$1`, `$2`... are the arguments, without the checkout's own programs on the PATH. */
export async function bash(folder: string, line: string, ...args: string[]): Promise<Ran> {
  const path = (process.env.PATH ?? "").split(":").filter((entry) => !entry.includes("node_modules"));
  // What npm tells the scripts that it runs is not for those that start anew.
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_ENV$|INIT_CWD$)/.test(name));
  const child = Bun.spawn(["bash", "-o", "pipefail", "-c", line, "bash", ...args], {
    cwd: folder,
    env: { ...Object.fromEntries(own), PATH: path.join(":"), NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { stdout, stderr, exitCode: await child.exited };
}

/** The same of a command that must succeed; gives what it printed. */
export async function succeed(folder: string, line: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await bash(folder, line, ...args);
  if (exitCode !== 0) throw new Error(`${line}: exit code ${exitCode}\n${stdout}${stderr}`);
  return stdout;
}

export interface Packed extends Disposable {
  /** vfiokit-VERSION.tgz. */
  readonly tarball: string;
  /** Paths of the files in it, without "package/". */
  readonly files: readonly string[];
  /** Makes a folder beside it that has nothing but a package.json. */
  project(name: string): string;
}

export async function pack(): Promise<Packed> {
  const folder = mkdtempSync(join(tmpdir(), "vfiokit-packed-"));
  const remove = () => rmSync(folder, { recursive: true });
  try {
    const printed = await succeed(root, 'npm pack --json --pack-destination "$1"', folder);
    const [{ filename, files }] = JSON.parse(printed.slice(printed.indexOf("["))) as [
      { filename: string; files: { path: string }[] },
    ];
    return {
      tarball: join(folder, filename),
      files: files.map(({ path }) => path),
      project(name) {
        const path = join(folder, name);
        mkdirSync(path);
        writeFileSync(
          join(path, "package.json"),
          '{ "name": "stranger", "type": "module", "private": true }\n',
        );
        return path;
      },
      [Symbol.dispose]: remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

export const npmInstall = 'npm install --prefer-offline --no-audit --no-fund "$1"';
