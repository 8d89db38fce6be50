/** Files of this project that run in processes and threads of their own. */
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Where a file of the project is that another one names by its place beside itself: `ownFile(PLACE, import.meta.url)`.
 * In a standalone binary all of them lie in one folder.
 */
export function ownFile(place: string, from: string): string {
  return fileURLToPath(new URL(Bun.isStandaloneExecutable ? basename(place) : place, from));
}

/**
 * The words that start such a file as a process of its own, which takes neither settings (.env) nor code (bunfig.toml's
 * preload) from the folder that it is started in. A standalone binary starts itself.
 */
export function bunProgram(path: string): string[] {
  const flags = Bun.isStandaloneExecutable ? [] : ["--no-env-file", "--config=/dev/null"];
  return [process.execPath, ...flags, path];
}
