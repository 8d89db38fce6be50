/** Runs this machine's programs for fetching and unpacking. */

/** The machine lacks a program or a package. */
export class MissingToolError extends Error {}

/** The Debian packages of the programs used here. */
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

/** The path of a program. Throws MissingToolError that names its package. */
export function findTool(name: string): string {
  const path = Bun.which(name);
  if (path === null) {
    throw new MissingToolError(
      `${name} is needed but not on the PATH; it is in Debian's package ${packages[name] ?? name}`,
    );
  }
  return path;
}

/**
 * Runs a program to its end and returns its standard output.
 * @throws Error with its standard error if it fails, or if `limit` aborts it
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
    const reason = child.signalCode ? `was killed by ${child.signalCode}` : `failed with exit code ${code}`;
    throw new Error(`${name} ${args.join(" ")} ${reason}\n${errors.trim()}`);
  }
  return output;
}
