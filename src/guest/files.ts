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
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { kindOf } from "./kind.ts";
import { copyTree } from "./tree.ts";

/** The guest's working directory, as a descriptor: the guest may rename it and put a link in its place. */
export interface WorkFolder extends Disposable {
  /** Copies a file, or a folder with all that is in it, under its base name. A pipe is read to its end. Returns the name. */
  put(path: string): Promise<string>;
  /** Writes `path` from the regular file there of the same base name. Returns why if it can't. */
  take(path: string): Promise<string | undefined>;
}

/** open(2): refers to the file itself, even a link; opens no device and waits for no pipe (Linux's value). */
const O_PATH = 0o10000000;
/** The umask decides what others may do with an output, never the guest. */
const MODE = 0o644;

/** @param staging a folder of the same file system that the guest does not see */
export function openWorkFolder(folder: string, staging = dirname(folder)): WorkFolder {
  const descriptor = openSync(folder, O_PATH | constants.O_DIRECTORY);
  let puts = 0;
  return {
    async put(path) {
      // The guest may have a link under that name, which a copy would follow. Renaming replaces the link itself.
      const staged = join(staging, `incoming-${++puts}`);
      const name = basename(resolve(path));
      try {
        const stats = statSync(path);
        if (stats.isDirectory()) copyTree(path, staged);
        else if (stats.isFile()) copyFileSync(path, staged, constants.COPYFILE_FICLONE);
        else await copyStream(path, staged);
        renameSync(staged, `/proc/self/fd/${descriptor}/${name}`);
      } finally {
        rmSync(staged, { recursive: true, force: true });
      }
      return name;
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
