/** Whether this machine has an IOMMU that the kernel drives, and whether VFIO can do without. */
import { listFolder, readAttribute } from "./attribute.ts";
import type { PciFunction } from "./functions.ts";

/**
 * Names of the IOMMUs that the kernel drives, in order: Documentation/ABI/testing/sysfs-class-iommu in the kernel. A
 * function's group says less: with an SMMU it has none before a driver is bound.
 */
export function listIommus(): string[] {
  return listFolder("/sys/class/iommu").sort();
}

/** Whether VFIO's noiommu mode is on; undefined where the kernel has no such thing, or VFIO is not loaded. */
export function noiommuMode(): boolean | undefined {
  const mode = readAttribute("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
  return mode === undefined ? undefined : mode === "Y";
}

/** Whether VFIO can't have a function, whatever is done to it: without an IOMMU, and without noiommu mode. */
export function isBeyondVfio({ iommuGroup }: Pick<PciFunction, "iommuGroup">): boolean {
  return iommuGroup === undefined && listIommus().length === 0 && noiommuMode() !== true;
}
