import { Disconnected } from "../os/socket.ts";
import { DeviceError, type PciDevice } from "./device.ts";
import { takeModel } from "./model-process.ts";
import { openVfioUser } from "./vfio-user/client.ts";

/**
 * The software model of the encoder as a device, in a child process. `model:vp9`, with options as a query:
 * `model:vp9?codec=null&fault=die@3`, as scripts/model.ts has them. Throws DeviceError.
 */
export function openModel(spec: string): PciDevice {
  const socket = takeModel(spec);
  try {
    return openVfioUser(socket, spec);
  } catch (error) {
    if (!(error instanceof DeviceError && error.cause instanceof Disconnected)) throw error;
    throw new DeviceError(`${spec}: the model ended while it started; the line above says why`, {
      cause: error,
    });
  }
}
