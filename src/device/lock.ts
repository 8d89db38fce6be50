/**
 * One process per device: a lock on the function's `config` file in sysfs, released when its holder exits.
 * The lock is advisory: vfiokit's processes honour it, setpci and the like do not.
 */
import { join } from "node:path";
import { SystemError } from "../os/errno.ts";
import { type Fd, O_RDONLY, openFile, tryLock } from "../os/fd.ts";
import type { PciFunction } from "../pci/bus/functions.ts";
import { describeHolder, findHolders } from "../pci/bus/holders.ts";
import { DeviceError } from "./device.ts";

/** Locks a function until the descriptor is closed. Throws DeviceError that names the holder. */
export function lockFunction({ address, path }: PciFunction, spec: string): Fd {
  const file = join(path, "config");
  let fd: Fd;
  try {
    fd = openFile(file, O_RDONLY);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new DeviceError(`${spec}: ${error.message}: the function may have gone away`, {
      cause: error,
      remedies: [{ verb: "list", args: [], does: "shows those present" }],
    });
  }
  if (tryLock(fd, `lock ${file}`)) return fd;
  fd[Symbol.dispose]();
  throw new DeviceError(
    `${spec}: ${address} is in use by ${whoHolds(file)}; one process at a time drives a device`,
  );
}

/** The processes that have one of these files open, for a message: "process 4711 (dd)". */
export function whoHolds(...paths: readonly string[]): string {
  const holders = findHolders(new Set(paths));
  const others = holders.filter(({ pid }) => pid !== process.pid);
  if (others.length > 0) return others.map(describeHolder).join(", ");
  return holders.length > 0 ? "this process itself" : "a process that this user can't see";
}
