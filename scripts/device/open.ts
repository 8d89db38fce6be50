/** Opening the device that a command line names. */
import type { PciDevice } from "../../src/device/device.ts";
import { openDevice } from "../../src/device/open.ts";
import { isPciSpec } from "../../src/device/pci.ts";
import { UsageError } from "./number.ts";

/** Opens the device. Throws UsageError where the word is of no form that a device has, DeviceError where it can't be opened. */
export function openDeviceOf(spec: string): PciDevice {
  try {
    return openDevice(spec);
  } catch (error) {
    const { message } = error as Error;
    if (isPciSpec(spec) || /^(model|vfio-user):/.test(spec)) throw error;
    throw new UsageError(message, { cause: error });
  }
}
