/** Opening the device that a command line names. */
import type { OpenOptions, PciDevice } from "../../src/device/device.ts";
import { openDevice, UnknownSpec } from "../../src/device/open.ts";
import "../../src/schemes.ts";
import { isPciSpec, openPciConfig } from "../../src/device/pci.ts";
import { UsageError } from "../cli/usage-error.ts";
import type { Opened, Place } from "./place.ts";

/** Opens the device. Throws UsageError where the word is of no form that a device has, DeviceError where it can't be opened. */
export function openDeviceOf(spec: string, options?: OpenOptions): PciDevice {
  try {
    return openDevice(spec, options);
  } catch (error) {
    if (error instanceof UnknownSpec) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/**
 * The same for some places: where all are in configuration space and VFIO does not have the function, that is opened alone,
 * whatever driver has it; "r+" is for writing, too. There are no BARs then, and nothing is turned on.
 */
export function openFor(
  spec: string,
  places: readonly Place[],
  mode: "r" | "r+",
  options: OpenOptions,
): Opened {
  const config =
    isPciSpec(spec) && places.every(({ space }) => space === "config")
      ? openPciConfig(spec, mode)
      : undefined;
  if (config === undefined) return openDeviceOf(spec, options);
  return { spec, config, bars: [], [Symbol.dispose]: () => config[Symbol.dispose]() };
}
