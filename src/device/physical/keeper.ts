/**
 * Keeps memory that a device can write to until the process that drives it is gone, by whatever cause. The kernel takes a process's
 * memory before it closes its files, and a device masters the bus until its file is closed; in between its writes would hit pages
 * that another process may have by then.
 */
import type { Fd } from "../../os/fd.ts";
import { KEEP_MS } from "../limits.ts";

/** Waits until standard input ends and no thread of the process is left, but for one that has only to be waited for. */
const WAIT = `cat
for i in $(seq "$2"); do grep -qs '^State:[[:space:]]*[^ZX]' /proc/$1/task/*/status || exit; sleep 0.01; done`;

/** A process that has the file open until this process has ended. Disposing of it ends it. */
export function keepUntilGone(file: Fd): Disposable {
  const keeper = Bun.spawn(["sh", "-c", WAIT, "sh", String(process.pid), String(KEEP_MS / 10)], {
    cwd: "/",
    detached: true, // what kills this process's group spares it
    stdio: ["pipe", "ignore", "ignore", file.number],
  });
  keeper.unref();
  return { [Symbol.dispose]: () => keeper.kill("SIGKILL") };
}
