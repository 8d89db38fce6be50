/** Opens the device that a command line names. */
import type { OpenOptions, PciDevice } from "../../src/device/device.ts";
import { openDevice, UnknownSpec } from "../../src/device/open.ts";
import "../../src/schemes.ts";
import { isPciSpec, openPciConfig } from "../../src/device/pci.ts";
import { withAddress } from "../bus/address.ts";
import { UsageError } from "../cli/usage-error.ts";
import type { Opened, Place } from "./place.ts";

/** Opens the device, which may be named as in scripts/bus/address.ts. Throws UsageError if the word has no known form, DeviceError if it can't be opened. */
export function openDeviceOf(spec: string, options?: OpenOptions): PciDevice {
  try {
    return openDevice(withAddress(spec), options);
  } catch (error) {
    if (error instanceof UnknownSpec) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/**
 * The same for some places. If all are in configuration space and VFIO does not have the function, only
 * configuration space is opened, with any driver or none; "r+" is also for writing. There are no BARs then,
 * and nothing is turned on.
 */
export function openFor(
  spec: string,
  places: readonly Place[],
  mode: "r" | "r+",
  options: OpenOptions,
): Opened {
  const known = withAddress(spec);
  const config =
    isPciSpec(known) && places.every(({ space }) => space === "config")
      ? openPciConfig(known, mode)
      : undefined;
  if (config === undefined) return openDeviceOf(known, options);
  return { spec, config, bars: [], [Symbol.dispose]: () => config[Symbol.dispose]() };
}
