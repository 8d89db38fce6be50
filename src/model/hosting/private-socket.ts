/** A listening socket with a path, for this user alone. */
import { lstatSync, rmSync } from "node:fs";
import { SystemError } from "../../os/errno.ts";
import type { Fd } from "../../os/fd.ts";
import { isBound, listenUnix } from "../../os/socket.ts";

export interface PrivateSocket extends Disposable {
  readonly fd: Fd;
}

/**
 * Listens on a path that only this user can connect to, from the start. A socket that a killed process left there is
 * removed. Dispose closes the socket and removes
 * its path, unless another file has taken that path. Throws SystemError, and Error if the path is taken.
 */
export function listenPrivately(path: string): PrivateSocket {
  const before = process.umask(0o177);
  try {
    if (isLeftBehind(path)) rmSync(path, { force: true });
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
      ? "another model, or another program, is serving there; end it, or choose another path"
      : "a file of that name exists; choose another path";
    throw new Error(`${error.message}: ${cause}`);
  } finally {
    process.umask(before);
  }
}

/** Whether the path is a socket's that no process has any more. Throws SystemError. */
export function isLeftBehind(path: string): boolean {
  return look(path)?.isSocket() === true && !isBound(path);
}

function look(path: string) {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}
