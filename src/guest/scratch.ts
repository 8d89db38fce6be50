/** A guest's folder of this machine. */
import { constants, lstatSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Fd, openFile, tryLock } from "../os/fd.ts";
import { removeFolder } from "./files.ts";
import { SCRATCH_LEFT_MS } from "./limits.ts";

export interface ScratchFolder extends AsyncDisposable {
  readonly path: string;
}

/** A guest may leave folders that their owner may not enter; find unlocks each before it looks into it. */
const REMOVE = `cat; find "$1" -type d -exec chmod u+rwx {} \\; ; rm -rf "$1"`;

const PREFIX = "vfiokit-guest.";
/** With the six letters or digits of mkdtemp. Earlier versions, which lock none, had a hyphen before them. */
const NAME = /^vfiokit-guest\.\w{6}$/;

/**
 * A new temporary folder. It is removed even if this process is killed: by a shell, whose standard input then ends. If both are
 * killed, the next call removes it.
 */
export function openScratchFolder(): ScratchFolder {
  removeLeft();
  const path = mkdtempSync(join(tmpdir(), PREFIX));
  const lock = lockIfFree(path);
  const keeper = Bun.spawn(["sh", "-c", REMOVE, "sh", path], {
    cwd: "/",
    detached: true, // what kills this process's group spares it
    stdio: ["pipe", "ignore", "ignore"],
  });
  return {
    path,
    async [Symbol.asyncDispose]() {
      removeFolder(path);
      lock?.[Symbol.dispose]();
      await keeper.stdin.end();
      await keeper.exited;
    },
  };
}

/** Its lock, which ends with this process; undefined if another process has it, or the file system has no locks. */
function lockIfFree(path: string): Fd | undefined {
  let lock: Fd | undefined;
  try {
    // Another user may have put a link or a pipe there.
    lock = openFile(path, constants.O_DIRECTORY | constants.O_NOFOLLOW);
    if (tryLock(lock, `lock ${path}`)) return lock;
  } catch {}
  lock?.[Symbol.dispose]();
  return undefined;
}

/** Removes folders whose process is gone. Another user's can't be removed, and stay. */
function removeLeft(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!NAME.test(name)) continue;
    const path = join(tmpdir(), name);
    try {
      // A younger one may not be locked yet.
      const { uid, mtimeMs } = lstatSync(path);
      if (uid !== process.getuid?.() || Date.now() - mtimeMs < SCRATCH_LEFT_MS) continue;
      using lock = lockIfFree(path);
      if (lock) removeFolder(path);
    } catch {}
  }
}
