import { SystemError } from "../os/errno.ts";
import type { Fd } from "../os/fd.ts";
import { connectUnix } from "../os/socket.ts";
import { DeviceError, type OpenOptions, type PciDevice } from "./device.ts";
import { LISTEN_MS } from "./limits.ts";
import { isPciSpec, openPci } from "./pci.ts";
import { schemeExamples, schemeOf } from "./schemes.ts";
import { openVfioUser } from "./vfio-user/client.ts";

/** The spec has no known form. */
export class UnknownSpec extends DeviceError {}

/**
 * Opens a device by its spec:
 * - `0000:00:09.0`: a function of this machine, through VFIO if vfio-pci drives it, else through sysfs. The
 *   prefix `vfio:`, `iommufd:` (VFIO by the function's own node) or `sysfs:` selects one of them; `?dma=physical`
 *   at the end is OpenOptions.dma, and `?vf_token=UUID` OpenOptions.vfToken.
 * - `vfio-user:/path/to.sock`: any vfio-user server.
 * - `NAME:...`: a registered scheme (registerScheme), e.g. `model:NAME`, a software model in a child process.
 *
 * Enables memory decode, and bus mastering if the backend has DMA. Throws DeviceError.
 */
export function openDevice(spec: string, options: OpenOptions = {}): PciDevice {
  if (options.timeoutMs !== undefined && !(options.timeoutMs > 0))
    throw new RangeError(`timeoutMs is ${options.timeoutMs}; it must be more than 0`);
  const scheme = schemeOf(spec);
  if (scheme) return scheme.open(spec, options);
  if (spec.startsWith("vfio-user:")) return connect(spec, options);
  if (isPciSpec(spec)) return openPci(spec, options);
  const examples = [
    "an address such as 0000:00:09.0",
    "vfio-user:/path/to.sock for a server",
    ...schemeExamples(),
  ];
  throw new UnknownSpec(
    `"${spec}" is not a device that can be opened; use ${examples.slice(0, -1).join(", ")}, or ${examples.at(-1)}`,
  );
}

/**
 * Resolves when openDevice no longer has to wait for the device: a model may first have to fetch something.
 * Rejects with DeviceError.
 */
export async function deviceReady(spec: string): Promise<void> {
  await schemeOf(spec)?.ready?.(spec);
}

const advice: Readonly<Record<string, string>> = {
  ENOENT: "no such socket; start the server first",
  ECONNREFUSED: "nothing listens there; the server has exited, or is still starting",
  EAGAIN: "other clients are already waiting; try again when they have been served",
  EACCES: "this user may not connect; run as the user who started the server",
};

/** A server's socket is there a moment before the server listens on it. */
function connectSoon(path: string): Fd {
  const deadlineMs = performance.now() + LISTEN_MS;
  for (;;) {
    try {
      return connectUnix(path);
    } catch (error) {
      const isRefused = error instanceof SystemError && error.code === "ECONNREFUSED";
      if (!isRefused || performance.now() >= deadlineMs) throw error;
      Bun.sleepSync(5);
    }
  }
}

function connect(spec: string, options: OpenOptions): PciDevice {
  const path = spec.slice("vfio-user:".length);
  try {
    return openVfioUser(connectSoon(path), spec, options);
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
