/** Locates and runs project files that have a process or thread of their own. */
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The path of a project file, given relative to the file that names it: `ownFile(PLACE, import.meta.url)`. A
 * standalone binary keeps all of them in one folder.
 */
export function ownFile(place: string, from: string): string {
  return fileURLToPath(new URL(Bun.isStandaloneExecutable ? basename(place) : place, from));
}

/**
 * The command line that runs a project file as a process. The process takes neither settings (.env) nor code
 * (bunfig.toml's preload) from its working directory. A standalone binary starts itself.
 */
export function bunProgram(path: string): string[] {
  const flags = Bun.isStandaloneExecutable ? [] : ["--no-env-file", "--config=/dev/null"];
  return [process.execPath, ...flags, path];
}
