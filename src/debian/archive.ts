/** Debian's archive, through apt with its own state folder: no root needed, signatures and checksums verified. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findTool, MissingToolError, run } from "./process.ts";

/** Debian's names for the architectures that vfiokit runs on. */
export type DebianArch = "amd64" | "arm64";

/** Debian's stable release, and the one before it. */
export type Suite = "trixie" | "bookworm";

const SUITE: Suite = "trixie";
const DEFAULT_MIRROR = "https://deb.debian.org/debian";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

export interface Archive {
  /** Names of packages that begin with a prefix. */
  names(prefix: string): Promise<string[]>;
  /** Downloads packages and unpacks them all into one folder. */
  unpack(packages: readonly string[], into: string, options: UnpackOptions): Promise<void>;
}

export interface UnpackOptions {
  /** Whether to include the packages' dependencies. */
  dependencies: boolean;
  /** Whether to take newer versions from the backports suite. */
  backports?: boolean;
}

export interface ArchiveOptions {
  /** Aborts what takes too long, in openArchive and in the archive's functions. */
  limit?: AbortSignal;
  /** The release to take packages from; trixie by default. */
  suite?: Suite;
}

/**
 * Reads the archive's index for an architecture.
 * @param folder an empty folder for apt's state; it can be removed once the packages are unpacked
 * @throws MissingToolError if this machine lacks a tool or the keyring, Error with apt's output if apt fails
 */
export async function openArchive(
  arch: DebianArch,
  folder: string,
  { limit, suite = SUITE }: ArchiveOptions = {},
): Promise<Archive> {
  checkArchiveTools();
  const mirror = findMirror();
  const backportsSuite = `${suite}-backports`;
  const config = join(folder, "apt.conf");
  const debs = join(folder, "cache/archives");
  for (const path of ["state/lists/partial", "cache/archives/partial"])
    mkdirSync(join(folder, path), { recursive: true });
  writeFileSync(join(folder, "status"), "");
  writeFileSync(
    join(folder, "sources.list"),
    [suite, backportsSuite].map((name) => `deb [signed-by=${KEYRING}] ${mirror} ${name} main\n`).join(""),
  );
  writeFileSync(config, `${await aptConfig(folder, arch)}\n`);
  const apt = async (tool: "apt-get" | "apt-cache", ...args: string[]) =>
    new TextDecoder().decode(
      await run([tool, ...args], { cwd: debs, env: { APT_CONFIG: config }, ...(limit && { limit }) }),
    );
  await apt("apt-get", "update", "--quiet=2", "--error-on=any");

  return {
    names: async (prefix) => (await apt("apt-cache", "pkgnames", prefix)).split("\n").filter(Boolean),
    async unpack(packages, into, { dependencies, backports = false }) {
      if (dependencies) {
        const release = ["-t", backports ? backportsSuite : suite];
        await apt("apt-get", "--quiet=2", "--yes", "--download-only", ...release, "install", ...packages);
      } else await apt("apt-get", "--quiet=2", "download", ...packages);
      for (const name of readdirSync(debs).filter((name) => name.endsWith(".deb")))
        await run(["dpkg-deb", "--extract", join(debs, name), into]);
    },
  };
}

/** Throws MissingToolError if this machine lacks a program, or the keyring, for fetching from the archive. */
export function checkArchiveTools(): void {
  for (const name of ["apt-config", "apt-get", "apt-cache", "dpkg-deb", "flock"]) findTool(name);
  if (!existsSync(KEYRING))
    throw new MissingToolError(
      `${KEYRING}, which has the keys of Debian's archive, is missing; it is in the package debian-archive-keyring`,
    );
}

/**
 * Checks that the archive answers before it is used: apt alone would retry for minutes. A proxy in the
 * machine's apt configuration is assumed to work.
 * @throws Error if no answer arrives in time
 */
export async function reachArchive(limitMs: number): Promise<void> {
  const machine = new TextDecoder().decode(await run(["apt-config", "dump"]));
  if (/^Acquire::https?::Proxy.* "./m.test(machine)) return;
  const mirror = findMirror();
  try {
    const release = `${mirror}/dists/${SUITE}/InRelease`;
    const { status } = await fetch(release, { method: "HEAD", signal: AbortSignal.timeout(limitMs) });
    if (status >= 400) throw new Error(`HTTP status ${status}`);
  } catch (cause) {
    throw new Error(`${new URL(mirror).host} does not answer (${(cause as Error).message})`, { cause });
  }
}

/** A configuration that uses only the folder, but reaches the network like the machine's own apt (proxies). */
async function aptConfig(folder: string, architecture: DebianArch): Promise<string> {
  const machine = new TextDecoder().decode(await run(["apt-config", "dump"]));
  const acquire = machine.split("\n").filter((line) => line.startsWith("Acquire::"));
  return [
    ...acquire,
    `Dir::State "${folder}/state";`,
    `Dir::State::status "${folder}/status";`,
    `Dir::Cache "${folder}/cache";`,
    `Dir::Etc::sourcelist "${folder}/sources.list";`,
    ...["main", "parts", "sourceparts", "preferences", "preferencesparts"].map(
      (name) => `Dir::Etc::${name} "/dev/null";`,
    ),
    `APT::Architecture "${architecture}";`,
    `APT::Architectures "${architecture}";`,
    'APT::Install-Recommends "false";',
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
  ].join("\n");
}

/** The mirror that the machine's own apt uses for Debian, else the default mirror. */
function findMirror(): string {
  const folder = "/etc/apt/sources.list.d";
  const files = [
    "/etc/apt/sources.list",
    ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []),
  ].filter((path) => /\.(list|sources)$/.test(path) && existsSync(path));
  return mirrorOf(files.map((path) => readFileSync(path, "utf8")).join("\n")) ?? DEFAULT_MIRROR;
}

/** The first address of a Debian archive in sources.list(5) text, one-line or deb822. */
export function mirrorOf(sources: string): string | undefined {
  for (const line of sources.split("\n")) {
    const [, addresses] = /^\s*(?:deb\s+(?:\[[^\]]*\]\s*)?|URIs:\s*)(.*)/i.exec(line) ?? [];
    const found = addresses?.split(/\s+/).find((word) => /^https?:\/\/.*\/debian\/?$/.test(word));
    if (found !== undefined) return found.replace(/\/$/, "");
  }
  return undefined;
}
