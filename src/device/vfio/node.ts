import { SystemError } from "../../os/errno.ts";
import { type Fd, O_RDWR, openFile } from "../../os/fd.ts";
import { DeviceError } from "../device.ts";

/**
 * Opens one of VFIO's or iommufd's nodes. `whyNot` gives the likely cause of an errno's name; `address` is the function that the
 * node is for, absent where it is for all. Throws DeviceError.
 */
export function openNode(
  path: string,
  spec: string,
  whyNot: (code: string) => string | undefined,
  address?: string,
): Fd {
  try {
    return openFile(path, O_RDWR);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const why = whyNot(error.code);
    throw new DeviceError(`${spec}: ${error.message}${why ? `: ${why}` : ""}`, {
      cause: error,
      remedies:
        error.code === "EACCES" && address !== undefined
          ? [{ verb: "setup", args: [address], does: "shows how to do that for good" }]
          : [],
    });
  }
}

/** The likely cause of an errno's name, for nodes that one process at a time can have; `inUse` says who has it. */
export function whyRefused(code: string, path: string, inUse: () => string): string | undefined {
  if (code === "EACCES")
    return `this user may not open it; run as root, or as root: chown ${process.getuid?.()} ${path}`;
  if (code === "EPERM") return "the kernel refuses it; run as root";
  return code === "EBUSY" ? `${inUse()}; end that first` : undefined;
}
