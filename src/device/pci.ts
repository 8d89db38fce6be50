/** A function of this machine's PCI bus, by the best way that works. */
import { isAddress } from "../pci/bus/address.ts";
import { BusError } from "../pci/bus/bus-error.ts";
import { type PciFunction, readFunction } from "../pci/bus/functions.ts";
import { isVfioDriver } from "../pci/bus/group.ts";
import { listIommus } from "../pci/bus/iommu.ts";
import { DeviceError, type PciDevice } from "./device.ts";
import { openSysfs } from "./sysfs/device.ts";
import { openVfio } from "./vfio/device.ts";

/** `0000:00:09.0` chooses the way, `vfio:` and `sysfs:` before it ask for one. */
const SPEC = /^(?:(vfio|sysfs):)?(.*)$/;

/** Whether a spec is this file's business. */
export function isPciSpec(spec: string): boolean {
  return isAddress(SPEC.exec(spec)?.[2] ?? "");
}

/** Throws DeviceError. */
export function openPci(spec: string): PciDevice {
  const [, way, address] = SPEC.exec(spec) ?? [];
  let pci: PciFunction;
  try {
    pci = readFunction(address!);
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    throw new DeviceError(`${spec}: ${error.message}`, { cause: error });
  }
  const noVfio = whyNotVfio(pci);
  if (way === "vfio" && noVfio !== undefined) throw new DeviceError(`${spec}: VFIO can't be used: ${noVfio}`);
  if (way === "sysfs") return openSysfs(pci, "it was asked for", spec);
  if (noVfio === undefined) return openVfio(pci, pci.iommuGroup!.number, spec);
  return openSysfs(pci, noVfio, spec);
}

/** Undefined where vfio-pci drives the function behind an IOMMU. */
function whyNotVfio({ address, driver, iommuGroup }: PciFunction): string | undefined {
  if (iommuGroup?.noiommu)
    return "VFIO has it in noiommu mode, which vfiokit does not use: any device could then write anywhere";
  // Behind some IOMMUs (Arm's SMMUv3) a function joins its group only when a driver binds to it.
  if (iommuGroup === undefined && (listIommus().length === 0 || isVfioDriver(driver)))
    return "it is in no IOMMU group: there is no IOMMU, or it is off (bun run doctor.ts tells)";
  if (!isVfioDriver(driver))
    return `${driver ?? "no driver"} is bound to it, not vfio-pci: bun run bind.ts ${address}`;
  return undefined;
}
