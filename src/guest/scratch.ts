/** A guest's folder of this machine. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeFolder } from "./files.ts";

export interface ScratchFolder extends AsyncDisposable {
  readonly path: string;
}

/** A guest may leave folders that their owner may not enter; find unlocks each before it looks into it. */
const REMOVE = `cat; find "$1" -type d -exec chmod u+rwx {} \\; ; rm -rf "$1"`;

/** A new temporary folder. It is removed even if this process is killed: by a shell, whose standard input then ends. */
export function openScratchFolder(): ScratchFolder {
  const path = mkdtempSync(join(tmpdir(), "vfiokit-guest-"));
  const keeper = Bun.spawn(["sh", "-c", REMOVE, "sh", path], {
    cwd: "/",
    detached: true, // what kills this process's group spares it
    stdio: ["pipe", "ignore", "ignore"],
  });
  return {
    path,
    async [Symbol.asyncDispose]() {
      removeFolder(path);
      await keeper.stdin.end();
      await keeper.exited;
    },
  };
}
