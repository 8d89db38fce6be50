/** Debian's archive, through apt itself in a folder of its own: no root, and its signatures and checksums are verified. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MissingToolError, run } from "./process.ts";

/** Debian's names of the architectures that vfiokit runs on. */
export type DebianArch = "amd64" | "arm64";

const SUITE = "trixie";
const BACKPORTS = "trixie-backports";
const DEFAULT_MIRROR = "https://deb.debian.org/debian";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

export interface Archive {
  /** Names of packages that begin with a prefix. */
  names(prefix: string): Promise<string[]>;
  /** Downloads packages and unpacks them, one over the other, into a folder. */
  unpack(packages: readonly string[], into: string, options: UnpackOptions): Promise<void>;
}

export interface UnpackOptions {
  /** Whether what they depend on comes, too. */
  dependencies: boolean;
  /** Whether the newer versions of the backports suite are wanted. */
  backports?: boolean;
}

/**
 * Reads the archive's index for an architecture.
 * @param folder an empty folder for apt's state; it may go when the packages are unpacked
 * @param limit ends what takes longer, here and in the archive's functions
 * @throws MissingToolError when this machine lacks what reads it, Error with apt's words when it can't be read
 */
export async function openArchive(arch: DebianArch, folder: string, limit?: AbortSignal): Promise<Archive> {
  if (!existsSync(KEYRING)) {
    throw new MissingToolError(
      `${KEYRING}, with the keys of Debian's archive, is not there; it is in the package debian-archive-keyring`,
    );
  }
  const mirror = findMirror();
  const config = join(folder, "apt.conf");
  const debs = join(folder, "cache/archives");
  for (const path of ["state/lists/partial", "cache/archives/partial"])
    mkdirSync(join(folder, path), { recursive: true });
  writeFileSync(join(folder, "status"), "");
  writeFileSync(
    join(folder, "sources.list"),
    [SUITE, BACKPORTS].map((suite) => `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`).join(""),
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
        const release = ["-t", backports ? BACKPORTS : SUITE];
        await apt("apt-get", "--quiet=2", "--yes", "--download-only", ...release, "install", ...packages);
      } else await apt("apt-get", "--quiet=2", "download", ...packages);
      for (const name of readdirSync(debs).filter((name) => name.endsWith(".deb")))
        await run(["dpkg-deb", "--extract", join(debs, name), into]);
    },
  };
}

/**
 * Finds out whether the archive answers, before anything is asked of it: apt alone would try for minutes. A machine that
 * goes through a proxy of apt's is believed to have one that works.
 * @throws Error when no answer comes in time
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

/** A configuration that knows the folder only, but reaches the network as the machine's own apt does (proxies). */
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

/** The mirror that the machine's own apt uses for Debian, else the archive's own address. */
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
