import type { PciDevice } from "./device.ts";
import { takeModel } from "./model-process.ts";
import { openVfioUser } from "./vfio-user/client.ts";

/**
 * The software model of the encoder as a device, in a child process. `model:vp9`, with options as a query:
 * `model:vp9?codec=null&fault=die@3`, as scripts/model.ts has them. Throws DeviceError.
 */
export function openModel(spec: string): PciDevice {
  return openVfioUser(takeModel(spec), spec);
}
