/** Files that go into a guest's working directory and come out of it. A guest can leave anything there, so nothing of it is followed. */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  createReadStream,
  createWriteStream,
  fstatSync,
  openSync,
  readdirSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";

/** The guest's working directory, held by a descriptor: the guest may rename it and put a link in its place. */
export interface WorkFolder extends Disposable {
  /** Puts a file there under its base name. A pipe is read to its end. */
  put(path: string): Promise<void>;
  /** Writes a file with the regular file that lies there under its base name. Returns why where it can't. */
  take(path: string): Promise<string | undefined>;
}

/** open(2): a descriptor of the file itself, which opens no device, waits for no pipe and can be a link's (Linux's value). */
const O_PATH = 0o10000000;
/** What others get to do with an output is the umask's choice, never the guest's. */
const MODE = 0o644;

export function openWorkFolder(folder: string): WorkFolder {
  const descriptor = openSync(folder, O_PATH | constants.O_DIRECTORY);
  return {
    async put(path) {
      const to = join(folder, basename(path));
      if (statSync(path).isFile()) copyFileSync(path, to, constants.COPYFILE_FICLONE);
      else await copyStream(path, to);
    },
    async take(path) {
      let left: number;
      try {
        // proc(5) opens relative to a descriptor, as openat(2) does: no link on the way to the folder counts.
        left = openSync(`/proc/self/fd/${descriptor}/${basename(path)}`, O_PATH | constants.O_NOFOLLOW);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== "ENOENT") throw error;
        return "the command left no such file in its working directory";
      }
      try {
        const kind = kindOf(fstatSync(left));
        if (kind !== "file")
          return `the command left a ${kind} under that name; only regular files are taken out of a guest`;
        await copyStream(`/proc/self/fd/${left}`, path);
        return undefined;
      } catch (error) {
        return `it could not be copied out of the guest: ${(error as Error).message}`;
      } finally {
        closeSync(left);
      }
    },
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}

/** Removes a folder with all that is in it, also where a guest left folders that their owner may not enter. */
export function removeFolder(path: string): void {
  unlock(path);
  rmSync(path, { recursive: true, force: true });
}

function unlock(folder: string): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) unlock(join(folder, entry.name));
}

const copyStream = (from: string, to: string) =>
  pipeline(createReadStream(from), createWriteStream(to, { mode: MODE }));

function kindOf(stats: Stats): string {
  if (stats.isFile()) return "file";
  if (stats.isSymbolicLink()) return "symbolic link";
  if (stats.isDirectory()) return "folder";
  if (stats.isFIFO()) return "pipe (FIFO)";
  if (stats.isSocket()) return "socket";
  return "device node";
}
