import { SystemError } from "../os/errno.ts";
import { connectUnix } from "../os/socket.ts";
import { DeviceError, type OpenOptions, type PciDevice } from "./device.ts";
import { isPciSpec, openPci } from "./pci.ts";
import { schemeExamples, schemeOf } from "./schemes.ts";
import { openVfioUser } from "./vfio-user/client.ts";

/** A word of no form that a device has. */
export class UnknownSpec extends DeviceError {}

/**
 * Opens a device: `0000:00:09.0` for a function of this machine, by VFIO where vfio-pci drives it and else through
 * sysfs (`vfio:` or `sysfs:` before the address asks for one way); `vfio-user:/path/to.sock` for any vfio-user server;
 * `NAME:...` for what is registered (registerScheme), such as `model:NAME`, a software model in a child process. Memory
 * decode is on afterwards, and bus mastering where the way has DMA. Throws DeviceError.
 */
export function openDevice(spec: string, options: OpenOptions = {}): PciDevice {
  if (options.timeoutMs !== undefined && !(options.timeoutMs > 0))
    throw new RangeError(`timeoutMs is ${options.timeoutMs}; it must be more than 0`);
  const scheme = schemeOf(spec);
  if (scheme) return scheme.open(spec, options);
  if (spec.startsWith("vfio-user:")) return connect(spec, options);
  if (isPciSpec(spec)) return openPci(spec);
  const examples = [
    "an address such as 0000:00:09.0",
    "vfio-user:/path/to.sock for a server",
    ...schemeExamples(),
  ];
  throw new UnknownSpec(
    `"${spec}" names no device that can be opened; use ${examples.slice(0, -1).join(", ")}, or ${examples.at(-1)}`,
  );
}

/** Resolves when openDevice need not wait for what it opens: a model may have to fetch something first. Rejects with DeviceError. */
export async function deviceReady(spec: string): Promise<void> {
  await schemeOf(spec)?.ready?.(spec);
}

const advice: Readonly<Record<string, string>> = {
  ENOENT: "no such socket; start the server first",
  ECONNREFUSED: "nothing listens there; the server has ended, or is still starting",
  EAGAIN: "other clients wait there already; try again when they are served",
  EACCES: "this user may not connect; run as the user who started the server",
};

function connect(spec: string, options: OpenOptions): PciDevice {
  const path = spec.slice("vfio-user:".length);
  try {
    return openVfioUser(connectUnix(path), spec, options);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new DeviceError(`${spec}: ${error.message}: ${advice[error.code] ?? "is it a UNIX socket?"}`, {
      cause: error,
      remedies:
        error.code === "ENOENT"
          ? [{ verb: "model", args: ["--socket", path], does: "starts one with a software model" }]
          : [],
    });
  }
}
