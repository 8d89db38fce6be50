/** A listening socket with a name, for this user alone. */
import { lstatSync, rmSync } from "node:fs";
import { SystemError } from "../../os/errno.ts";
import type { Fd } from "../../os/fd.ts";
import { listenUnix } from "../../os/socket.ts";

export interface PrivateSocket extends Disposable {
  readonly fd: Fd;
}

/**
 * Listens on a path that only this user can connect to, from its first moment on. Dispose closes it and removes it from
 * the path, but not another one that has come there meanwhile. Throws SystemError, and Error where the path is taken.
 */
export function listenPrivately(path: string): PrivateSocket {
  const before = process.umask(0o177);
  try {
    const fd = listenUnix(path);
    const ours = look(path);
    let open = true;
    return {
      fd,
      [Symbol.dispose]: () => {
        if (!open) return;
        open = false;
        // As long as it is open no other file has its number.
        const there = look(path);
        if (there && there.ino === ours?.ino && there.dev === ours.dev) rmSync(path, { force: true });
        fd[Symbol.dispose]();
      },
    };
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "EADDRINUSE") throw error;
    const cause = lstatSync(path).isSocket()
      ? `another model serves there, or one that was killed left it; rm ${path} if none does`
      : "there is a file of that name; choose another path";
    throw new Error(`${error.message}: ${cause}`);
  } finally {
    process.umask(before);
  }
}

function look(path: string) {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}
