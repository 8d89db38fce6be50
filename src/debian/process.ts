/** Programs of this machine that fetch and unpack things. */

/** A program, or a package, that the machine lacks. */
export class MissingToolError extends Error {}

/** Debian's packages of the programs that are used here. */
const packages: Record<string, string> = {
  "apt-get": "apt",
  "apt-cache": "apt",
  "apt-config": "apt",
  "dpkg-deb": "dpkg",
  xz: "xz-utils",
  tar: "tar",
  npm: "npm",
  flock: "util-linux",
  setpriv: "util-linux",
};

/** The path of a program; throws MissingToolError with the package that has it. */
export function findTool(name: string): string {
  const path = Bun.which(name);
  if (path === null) {
    throw new MissingToolError(
      `${name} is needed and is not on the PATH; it is in Debian's package ${packages[name] ?? name}`,
    );
  }
  return path;
}

/**
 * Runs a program to its end and returns what it wrote to standard output.
 * @throws when it fails, with what it wrote to standard error, or when `limit` ends it.
 */
export async function run(
  command: readonly [string, ...string[]],
  options: { cwd?: string; env?: Record<string, string>; stdin?: Uint8Array; limit?: AbortSignal } = {},
): Promise<Uint8Array> {
  const [name, ...args] = command;
  const child = Bun.spawn([findTool(name), ...args], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, LC_ALL: "C", ...options.env },
    stdin: options.stdin ?? "ignore",
    ...(options.limit === undefined ? {} : { signal: options.limit }),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, code] = await Promise.all([child.stdout.bytes(), child.stderr.text(), child.exited]);
  if (options.limit?.aborted) throw new Error(`${name} ${args.join(" ")} took too long`);
  if (code !== 0) {
    const reason = child.signalCode ? `was ended by ${child.signalCode}` : `failed with exit code ${code}`;
    throw new Error(`${name} ${args.join(" ")} ${reason}\n${errors.trim()}`);
  }
  return output;
}
