/** Looks for a device that was lost while it was open. */
import { existsSync } from "node:fs";
import { canonicalAddress } from "../pci/bus/address.ts";
import { writeAttribute } from "../pci/bus/attribute.ts";
import { bind } from "../pci/bus/binding.ts";
import { BusError } from "../pci/bus/bus-error.ts";
import { readFunction } from "../pci/bus/functions.ts";
import { isForUserSpace } from "../pci/bus/group.ts";
import { rescan } from "../pci/bus/hotplug.ts";
import { isSilent, readAnswer } from "../pci/bus/presence.ts";
import { DeviceError, type OpenOptions, type PciDevice } from "./device.ts";
import { deviceReady, openDevice } from "./open.ts";
import { addressOf } from "./pci.ts";
import { checkPresent, whyBarsSilent } from "./silence.ts";

/** It did not come back in time. */
export class DeviceLost extends DeviceError {}

/** Options for `findAgain`. */
export interface FindAgainOptions extends OpenOptions {
  /** How long to look for it, in milliseconds. */
  readonly limitMs: number;
  /** The driver for user space that a function of this machine's bus had, to which it is then bound again: userDriverOf. */
  readonly driver: string | undefined;
  /** Whether it is still wanted, asked each time before it is looked for. */
  readonly isWanted: () => boolean;
}

const LOOK_AGAIN_MS = 100;
/** A rescan stops accesses to the bus for a moment, so they are some time apart. */
const RESCAN_MS = 1000;

/**
 * Opens a device again that was lost and is closed: starts a model once more, connects to a server's socket, rescans the bus for a
 * function until it is there. Undefined if it is wanted no longer. Throws DeviceLost if the time is up.
 */
export async function findAgain(
  spec: string,
  { limitMs, driver, isWanted, ...options }: FindAgainOptions,
): Promise<PciDevice | undefined> {
  const typed = addressOf(spec);
  const address = typed && canonicalAddress(typed);
  const startMs = performance.now();
  let rescannedMs = startMs;
  while (isWanted()) {
    try {
      if (address === undefined) await deviceReady(spec);
      else if (performance.now() - rescannedMs >= RESCAN_MS) {
        rescannedMs = performance.now();
        await lookFor(address);
      }
      if (address !== undefined && driver !== undefined) await bindAgain(address, driver);
      if (isWanted()) return openAnswering(spec, options);
    } catch (error) {
      if (!(error instanceof DeviceError || error instanceof BusError)) throw error;
      if (performance.now() - startMs >= limitMs)
        throw new DeviceLost(
          `${spec} was lost, and did not come back within ${limitMs} ms: ${error.message}`,
          {
            cause: error,
          },
        );
    }
    await Bun.sleep(LOOK_AGAIN_MS);
  }
  return undefined;
}

/** Throws DeviceError, also if the device does not answer. */
function openAnswering(spec: string, options: OpenOptions): PciDevice {
  const device = openDevice(spec, options);
  try {
    checkPresent(device);
    const why = whyBarsSilent(device);
    if (!why) return device;
    throw new DeviceError(`${spec}: ${why.text}`, { silent: true, remedies: why.remedies });
  } catch (error) {
    device[Symbol.dispose]();
    throw error;
  }
}

/** Makes the kernel look for a function that is not there, or does not answer. Throws BusError. */
async function lookFor(address: string): Promise<void> {
  const path = `/sys/bus/pci/devices/${address}`;
  if (!existsSync(path)) return writeAttribute("/sys/bus/pci/rescan", "1", "look for devices");
  const answer = readAnswer(readFunction(address));
  if (answer !== undefined && isSilent(answer)) await rescan({ addresses: [address], timeoutMs: 0 });
}

/** Throws BusError: it is not there, or can't be bound. */
async function bindAgain(address: string, driver: string): Promise<void> {
  if (readFunction(address).driver !== driver) await bind(address, driver);
}

/** The driver for user space that a function of this machine's bus has; undefined if it has another or none, or for another device. */
export function userDriverOf(spec: string): string | undefined {
  const address = addressOf(spec);
  if (address === undefined) return undefined;
  try {
    const { driver } = readFunction(address);
    return isForUserSpace(driver) ? driver : undefined;
  } catch (error) {
    if (error instanceof BusError) return undefined; // it has just gone away
    throw error;
  }
}
