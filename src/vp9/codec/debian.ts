/** Debian's libvpx for machines that have none: fetched into the cache folder once, without root. */
import { lstatSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { checkArchiveTools, type DebianArch, openArchive, reachArchive } from "../../debian/archive.ts";
import { cached, cachedEntry } from "../../debian/cache.ts";
import { LibraryError, openLibrary } from "../../os/library.ts";
import { CodecError, type Engine } from "./engine.ts";
import { loadLibvpx } from "./libvpx.ts";
import { FETCH_MS, REACH_MS } from "./limits.ts";

const PACKAGE = "libvpx9";
const SONAME = "libvpx.so.9";
/** Minor version of glibc 2 that the package's library requires. */
const GLIBC_MINOR = 34;

/** The download's size, for people. */
export const DOWNLOAD = "1 MB and the archive's index of 10 MB";

/**
 * Loads Debian's libvpx9 from the cache folder; fetches it from Debian's archive first if it is not there.
 *
 * @param notice called before something is fetched
 * @throws {CodecError} if this machine can't run it or it can't be fetched, in one line
 */
export const loadDebian = (notice: (line: string) => void): Promise<Engine> =>
  explained(async () => loadLibvpx([await fetchLibvpx(runnableArch(), notice)]));

/**
 * Where the library is, or undefined if {@link loadDebian} would fetch it first. Fetches nothing.
 *
 * @throws {CodecError} if this machine can't run it, or lacks a program to fetch it, in one line
 */
export const findDebian = (): Promise<string | undefined> =>
  explained(async () => {
    const path = cachedEntry(debianLibrary(runnableArch()));
    if (path === undefined) checkArchiveTools();
    return path;
  });

async function explained<Result>(action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof CodecError) throw cause;
    throw new CodecError(`Debian's ${PACKAGE}: ${oneLine(cause)}`, { cause });
  }
}

/** The library's name in the cache folder, and in a standalone binary. */
export const debianLibrary = (arch: DebianArch): string => `${PACKAGE}-${arch}.so`;

/**
 * The path of the library for an architecture, in the cache folder.
 *
 * @param notice called before it is fetched
 * @throws Error if it can't be fetched, {@link CodecError} if others can change it
 */
export async function fetchLibvpx(arch: DebianArch, notice: (line: string) => void): Promise<string> {
  const name = debianLibrary(arch);
  if (cachedEntry(name) === undefined) {
    await reachArchive(REACH_MS);
    notice(`fetching Debian's ${PACKAGE} (${DOWNLOAD}, once)`);
  }
  const path = await cached(name, async (folder) => {
    const archive = await openArchive(arch, folder, { limit: AbortSignal.timeout(FETCH_MS) });
    const tree = join(folder, "tree");
    await archive.unpack([PACKAGE], tree, { dependencies: false });
    const [library] = new Bun.Glob(`usr/lib/*/${SONAME}`).scanSync({ cwd: tree });
    if (library === undefined) throw new Error(`the package has no ${SONAME}`);
    return realpathSync(join(tree, library));
  });
  checkOwner(path);
  return path;
}

/** Debian's name of this processor; undefined if Debian's library is not used on it. */
export const debianArch = (): DebianArch | undefined =>
  (({ x64: "amd64", arm64: "arm64" }) as const)[process.arch as string];

/** Throws CodecError if Debian's library can't run: musl, an older glibc, another processor. */
function runnableArch(): DebianArch {
  const arch = debianArch();
  if (arch === undefined) throw new CodecError(`Debian's ${PACKAGE}: not available for ${process.arch}`);
  const needed = `2.${GLIBC_MINOR}`;
  const glibc = glibcVersion();
  if (glibc === undefined)
    throw new CodecError(`Debian's ${PACKAGE}: it needs glibc ${needed}, and this is musl`);
  const [major = 0, minor = 0] = glibc.split(".").map(Number);
  if (major === 2 && minor < GLIBC_MINOR)
    throw new CodecError(`Debian's ${PACKAGE}: it needs glibc ${needed}, and this is ${glibc}`);
  return arch;
}

function glibcVersion(): string | undefined {
  try {
    const libc = openLibrary(["libc.so.6"], { gnu_get_libc_version: { args: [], returns: "cstring" } });
    const version = String(libc.symbols.gnu_get_libc_version());
    libc.close();
    return version;
  } catch (error) {
    if (!(error instanceof LibraryError)) throw error;
    return undefined;
  }
}

/** Refuses code that other users can change: sudo may keep HOME, and with it another user's cache folder. */
function checkOwner(path: string): void {
  const user = process.geteuid?.();
  for (const name of [path, dirname(path)]) {
    const { uid, mode } = lstatSync(name);
    if (uid !== user || (mode & 0o022) !== 0)
      throw new CodecError(
        `Debian's ${PACKAGE}: ${name} can be written by others than user ${user}, so it is not loaded; XDG_CACHE_HOME=/another/folder moves it`,
      );
  }
}

/** apt prints its errors as separate lines among others. */
function oneLine(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).split("\n");
  return lines.find((line) => line.startsWith("E: "))?.slice(3) ?? lines[0]!;
}
