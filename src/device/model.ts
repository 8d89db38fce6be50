import { Disconnected } from "../os/socket.ts";
import { DeviceError, type OpenOptions, type PciDevice } from "./device.ts";
import { takeModel } from "./model-process.ts";
import { openVfioUser } from "./vfio-user/client.ts";

/** A model's process may take this long to start, whatever the time limit of a request is. */
const START_MS = 5000;

/**
 * The software model of the encoder as a device, in a child process. `model:vp9`, with options as a query:
 * `model:vp9?codec=null&fault=die@3`, as scripts/model.ts has them. Throws DeviceError.
 */
export function openModel(spec: string, options: OpenOptions): PciDevice {
  const socket = takeModel(spec);
  try {
    return openVfioUser(socket, spec, options, START_MS);
  } catch (error) {
    if (!(error instanceof DeviceError && error.cause instanceof Disconnected)) throw error;
    throw new DeviceError(`${spec}: the model ended while it started; the line above says why`, {
      cause: error,
    });
  }
}
