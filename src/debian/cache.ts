/** The cache folder keeps what was fetched. Other processes see an entry only when it is complete. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { LOCK_S } from "./limits.ts";
import { findTool } from "./process.ts";

export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "vfiokit");
}

/** Creates the cache folder if it is missing. Throws Error if it can't be written to. */
export function makeCacheFolder(): string {
  const folder = cacheFolder();
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(
      `the download cache ${folder} can't be written (${code}); XDG_CACHE_HOME=/another/folder moves it`,
    );
  }
  return folder;
}

/** The path of a cache entry; undefined if it is missing. */
export function cachedEntry(name: string): string | undefined {
  const entry = join(cacheFolder(), name);
  return existsSync(entry) ? entry : undefined;
}

/**
 * The path of a cache entry. If it is missing, `make` fills an empty folder and returns a path in it, which
 * becomes the entry in one step. If several processes need it at once, one makes it and the others wait.
 */
export async function cached(
  name: string,
  make: (folder: string) => Promise<string>,
  waitS = LOCK_S,
): Promise<string> {
  const entry = join(cacheFolder(), name);
  if (cachedEntry(name) !== undefined) return entry;
  const cache = makeCacheFolder();
  using _lock = await lock(join(cache, `.${name}.lock`), waitS);
  if (existsSync(entry)) return entry;
  for (const left of readdirSync(cache)) // by a process that was killed
    if (left.startsWith(`.${name}.`) && /^\w{6}$/.test(left.slice(name.length + 2)))
      rmSync(join(cache, left), { recursive: true, force: true });
  const folder = mkdtempSync(join(cache, `.${name}.`));
  try {
    renameSync(await make(folder), entry);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return entry;
}

/** Takes a lock that never outlives this process: flock(1) holds it until our end of its pipe closes. */
async function lock(path: string, waitS: number): Promise<Disposable> {
  const holder = Bun.spawn(
    [findTool("flock"), "--timeout", String(waitS), path, "sh", "-c", "echo && exec cat"],
    { stdin: "pipe", stdout: "pipe", stderr: "ignore" },
  );
  const { done } = await holder.stdout.getReader().read();
  if (done) throw new Error(`another process held ${path} for ${waitS} s; is it still fetching?`);
  return { [Symbol.dispose]: () => void holder.stdin.end() };
}
