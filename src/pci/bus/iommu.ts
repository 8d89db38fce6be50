/** Whether the kernel drives an IOMMU on this machine, and whether VFIO works without one. */
import { listFolder, readAttribute, writeAttribute } from "./attribute.ts";
import type { PciFunction } from "./functions.ts";

/**
 * Names of the IOMMUs that the kernel drives, in order: Documentation/ABI/testing/sysfs-class-iommu in the
 * kernel. A function's group says less: behind an SMMU it has none until a driver is bound.
 */
export function listIommus(): string[] {
  return listFolder("/sys/class/iommu").sort();
}

const NOIOMMU_MODE = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

/** Turns VFIO's noiommu mode on or off, for functions that are bound afterwards. Throws BusError. */
export function setNoiommuMode(on: boolean): void {
  writeAttribute(NOIOMMU_MODE, on ? "Y" : "N", `turn VFIO's noiommu mode ${on ? "on" : "off"}`);
}

/** Whether VFIO's noiommu mode is on; undefined if the kernel lacks it or VFIO is not loaded. */
export function noiommuMode(): boolean | undefined {
  const mode = readAttribute(NOIOMMU_MODE);
  return mode === undefined ? undefined : mode === "Y";
}

/** Whether VFIO can't take a function at all: there is no IOMMU, and noiommu mode is off. */
export function isBeyondVfio({ iommuGroup }: Pick<PciFunction, "iommuGroup">): boolean {
  return iommuGroup === undefined && listIommus().length === 0 && noiommuMode() !== true;
}
