/** Opens a function of this machine's PCI bus through the best backend that works. */
import { isAddress } from "../pci/bus/address.ts";
import { BusError } from "../pci/bus/bus-error.ts";
import { openConfigFile } from "../pci/bus/config-file.ts";
import { type PciFunction, readFunction } from "../pci/bus/functions.ts";
import { isVfioDriver } from "../pci/bus/group.ts";
import { listIommus } from "../pci/bus/iommu.ts";
import type { Advice } from "../remedy/remedy.ts";
import { type ConfigSpace, DeviceError, type OpenOptions, type PciDevice } from "./device.ts";
import { lockFunction } from "./lock.ts";
import { ASKED_FOR, openSysfs } from "./sysfs/device.ts";
import { openVfio } from "./vfio/device.ts";
import { isByNodeOnly, openByGroup, openByNode, openWithoutIommu } from "./vfio/handle.ts";
import { checkVfToken } from "./vfio/vf-token.ts";

/** `0000:00:09.0` leaves the choice of backend to us; the prefixes select one. */
const SPEC = /^(?:(vfio|iommufd|sysfs):)?([^?]*)(?:\?(?:(dma=physical)|vf_token=(.*)))?$/;

/** At a spec's end, what OpenOptions.dma "physical" is. */
export const PHYSICAL = "?dma=physical";

/** Whether a spec names a function of this machine's PCI bus. */
export function isPciSpec(spec: string): boolean {
  return addressOf(spec) !== undefined;
}

/** The address in a spec that names a function of this machine's PCI bus, as it is written there. */
export function addressOf(spec: string): string | undefined {
  const address = SPEC.exec(spec)?.[2] ?? "";
  return isAddress(address) ? address : undefined;
}

/** Throws DeviceError. */
export function openPci(spec: string, options: Pick<OpenOptions, "dma" | "vfToken"> = {}): PciDevice {
  const { way, pci, isPhysical, vfToken = options.vfToken } = look(spec);
  const dma = isPhysical ? "physical" : options.dma;
  const noVfio = whyNotVfio(pci, dma);
  if ((way === "vfio" || way === "iommufd") && noVfio !== undefined)
    throw new DeviceError(`${spec}: VFIO can't be used: ${noVfio.text}`, { remedies: noVfio.remedies });
  if (vfToken !== undefined) {
    if (way === "sysfs" || noVfio !== undefined)
      throw new DeviceError(
        `${spec}: a VF token was given, which only VFIO takes: ${noVfio?.text ?? "sysfs was asked for"}`,
        { remedies: noVfio?.remedies ?? [] },
      );
    checkVfToken(vfToken, pci, spec);
  }
  if (way === "sysfs") return openSysfs(pci, ASKED_FOR, { spec, dma });
  if (noVfio !== undefined) return openSysfs(pci, noVfio, { spec, dma });
  const request = { spec, vfToken };
  if (pci.iommuGroup?.noiommu && way === "iommufd")
    throw new DeviceError(`${spec}: iommufd has nothing without an IOMMU; open ${pci.address}?dma=physical`);
  if (pci.iommuGroup?.noiommu) return openVfio(pci, openWithoutIommu, request);
  if (dma === "physical")
    throw new DeviceError(
      `${spec}: physical addresses were asked for, but an IOMMU translates for ${pci.address}: open it without them`,
    );
  return openVfio(pci, way === "iommufd" || isByNodeOnly(pci) ? openByNode : openByGroup, request);
}

/**
 * Opens configuration space alone, through sysfs. Works for bridges, too, and with any driver, which stays
 * bound. "r+" also allows writing, for one process at a time. Returns undefined if the spec selects VFIO.
 * Throws DeviceError.
 */
export function openPciConfig(spec: string, mode: "r" | "r+"): (ConfigSpace & Disposable) | undefined {
  const { way, pci } = look(spec);
  if (way === "vfio" || way === "iommufd" || (way === undefined && whyNotVfio(pci) === undefined))
    return undefined;
  using held = new DisposableStack();
  if (mode === "r+") held.use(lockFunction(pci, spec));
  try {
    const config = held.use(openConfigFile(pci, mode));
    const all = held.move();
    return { ...config, [Symbol.dispose]: () => all.dispose() };
  } catch (error) {
    throw asDeviceError(error, spec);
  }
}

interface Looked {
  readonly way: string | undefined;
  readonly pci: PciFunction;
  readonly isPhysical: boolean;
  readonly vfToken: string | undefined;
}

function look(spec: string): Looked {
  const [, way, address, physical, vfToken] = SPEC.exec(spec) ?? [];
  try {
    return { way, pci: readFunction(address!), isPhysical: physical !== undefined, vfToken };
  } catch (error) {
    throw asDeviceError(error, spec);
  }
}

function asDeviceError(error: unknown, spec: string): unknown {
  return error instanceof BusError ? new DeviceError(`${spec}: ${error.message}`, { cause: error }) : error;
}

/** Undefined if vfio-pci drives the function behind an IOMMU, or without one, which has to be asked for. */
function whyNotVfio(
  { address, driver, iommuGroup, isBridge }: PciFunction,
  dma?: OpenOptions["dma"],
): Advice | undefined {
  if (isBridge) return { text: "it is a bridge, which VFIO does not support", remedies: [] };
  if (iommuGroup?.noiommu && dma !== "physical")
    return {
      text: `VFIO has it in noiommu mode, in which it can write to any memory of the machine; if you trust it with that, open ${address}?dma=physical`,
      remedies: [],
    };
  // Behind some IOMMUs (Arm's SMMUv3) a function joins its group only when a driver binds to it.
  if (iommuGroup === undefined && (listIommus().length === 0 || isVfioDriver(driver)))
    return {
      text: "it is in no IOMMU group: there is no IOMMU, or it is off",
      remedies: [{ verb: "doctor", args: [], does: "shows which" }],
    };
  if (!isVfioDriver(driver))
    return {
      text: `${driver ?? "no driver"} is bound to it, not vfio-pci`,
      remedies: [{ verb: "bind", args: [address] }],
    };
  return undefined;
}
