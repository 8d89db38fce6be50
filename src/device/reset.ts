/** A reset, and whether the device answers after it. */
import { Config } from "../pci/config-offsets.ts";
import { DeviceError, type OpenOptions, type PciDevice } from "./device.ts";
import { openDevice } from "./open.ts";
import { checkPresent, whyBarsSilent } from "./silence.ts";

/** A reset, and the device's answers before and after it. */
export interface ResetResult {
  /** How the device was reached: PciDevice's. */
  readonly reachedBy: string;
  /** Vendor and device as it answered, as lspci has them: "1234:11e8". */
  readonly before: string;
  readonly after: string;
  readonly resetMs: number;
}

/**
 * Opens a device, resets it to its power-on state by the means of its backend, and closes it. Throws DeviceError: it can't be
 * opened or reset, or does not answer before it or after it (`silent`).
 */
export function reset(spec: string, options: OpenOptions = {}): ResetResult {
  using device = openDevice(spec, options);
  return resetOpen(device);
}

/**
 * Resets a device to its power-on state, by the means of its backend. Throws DeviceError: it can't be reset, or does not
 * answer before it or after it (`silent`).
 */
export function resetOpen(device: PciDevice): ResetResult {
  const { spec, reachedBy } = device;
  checkPresent(device);
  const before = idOf(device);
  const startMs = performance.now();
  device.reset();
  const resetMs = performance.now() - startMs;
  checkPresent(device);
  const dead = whyBarsSilent(device);
  if (dead)
    throw new DeviceError(`${spec}: after a reset by ${reachedBy} ${dead.text}`, {
      silent: true,
      remedies: dead.remedies,
    });
  return { reachedBy, before, after: idOf(device), resetMs };
}

function idOf({ config }: PciDevice): string {
  const ids = [config.read16(Config.VENDOR_ID), config.read16(Config.DEVICE_ID)];
  return ids.map((id) => id.toString(16).padStart(4, "0")).join(":");
}
