/** Copies files into and out of a guest's working directory, following no link that the guest left there. */
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

/** The guest's working directory, as a descriptor: the guest may rename it and put a link in its place. */
export interface WorkFolder extends Disposable {
  /** Copies a file into it under its base name. A pipe is read to its end. */
  put(path: string): Promise<void>;
  /** Writes `path` from the regular file there of the same base name. Returns why if it can't. */
  take(path: string): Promise<string | undefined>;
}

/** open(2): refers to the file itself, even a link; opens no device and waits for no pipe (Linux's value). */
const O_PATH = 0o10000000;
/** The umask decides what others may do with an output, never the guest. */
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
        // proc(5): opens relative to a descriptor, like openat(2), so no link on the way to the folder counts.
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

/** Removes a folder with its contents, even if a guest left folders in it that their owner may not enter. */
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
