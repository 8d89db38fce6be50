/** A listening socket with a path, for this user alone. */
import { lstatSync, rmSync } from "node:fs";
import { SystemError } from "../../os/errno.ts";
import type { Fd } from "../../os/fd.ts";
import { listenUnix } from "../../os/socket.ts";

export interface PrivateSocket extends Disposable {
  readonly fd: Fd;
}

/**
 * Listens on a path that only this user can connect to, from the start. Dispose closes the socket and removes
 * its path, unless another file has taken that path. Throws SystemError, and Error if the path is taken.
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
        // While the socket is open, no other file has its inode number.
        const there = look(path);
        if (there && there.ino === ours?.ino && there.dev === ours.dev) rmSync(path, { force: true });
        fd[Symbol.dispose]();
      },
    };
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "EADDRINUSE") throw error;
    const cause = lstatSync(path).isSocket()
      ? `another model is serving there, or one that was killed left it behind; if none is serving, rm ${path}`
      : "a file of that name exists; choose another path";
    throw new Error(`${error.message}: ${cause}`);
  } finally {
    process.umask(before);
  }
}

function look(path: string) {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}
