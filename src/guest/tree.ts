/** Folders to copy into a guest. */
import { accessSync, constants, cpSync, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { kindOf } from "./kind.ts";

/**
 * Looks for what can't be copied: links that lead out of the folder, whose targets the guest would not have, and everything that
 * is no file, folder or link. Returns the first such path and what is wrong with it.
 */
export function refusedIn(folder: string): { path: string; reason: string } | undefined {
  const root = resolve(folder);
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) {
      const target = readlinkSync(path);
      const leads = resolve(dirname(path), target);
      if (target.startsWith("/") || !`${leads}/`.startsWith(`${root}/`))
        return {
          path,
          reason: `it is a link to ${target}, which is not in the folder; links within it are copied`,
        };
    } else if (entry.isFile() || entry.isDirectory()) {
      try {
        accessSync(path, entry.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
      } catch (error) {
        return { path, reason: `it can't be read (${(error as NodeJS.ErrnoException).code})` };
      }
    } else return { path, reason: `it is a ${kindOf(lstatSync(path))}; files, folders and links are copied` };
  }
  return undefined;
}

/** Copies a folder with all that is in it. Links stay links. */
export function copyTree(from: string, to: string): void {
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
}
