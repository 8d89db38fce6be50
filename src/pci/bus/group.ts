/** An IOMMU group: VFIO hands out all of its functions or none, since the hardware can't keep them apart. */
import { groupMembers, type IommuGroup, type PciFunction } from "./functions.ts";

export interface GroupMember {
  readonly function: PciFunction;
  /** Whether VFIO can use the group with this member as it is. */
  readonly viable: boolean;
  /** Why, in a few words. */
  readonly verdict: string;
}

/** Drivers that leave DMA to whoever owns the group (`driver_managed_dma` in the kernel), besides VFIO's own. */
const tolerant: readonly string[] = ["pci-stub", "pcieport"];

/** Whether a driver is VFIO's: vfio-pci, or one of its variants for certain devices, such as mlx5_vfio_pci. */
export function isVfioDriver(driver: string | undefined): boolean {
  return driver !== undefined && /vfio[-_]pci$/.test(driver);
}

/** Whether a driver is one that hands functions to user space, or keeps them for that. */
export function isForUserSpace(driver: string | undefined): boolean {
  return isVfioDriver(driver) || driver === "uio_pci_generic" || driver === "pci-stub";
}

/** The members with a verdict each, in the order of their addresses. */
export function judgeGroup(group: IommuGroup): GroupMember[] {
  return groupMembers(group).map((member) => ({ function: member, ...judge(member) }));
}

function judge({ driver, isBridge }: PciFunction): Pick<GroupMember, "viable" | "verdict"> {
  if (isVfioDriver(driver)) return { viable: true, verdict: "with VFIO" };
  if (driver === undefined)
    return { viable: true, verdict: isBridge ? "a bridge without a driver, fine" : "no driver, fine" };
  if (tolerant.includes(driver))
    return { viable: true, verdict: isBridge ? "a bridge, fine as it is" : `${driver}, fine` };
  return { viable: false, verdict: `${driver} keeps the group from VFIO` };
}

/** The device node by which a group is opened. */
export function groupNode({ number, noiommu }: IommuGroup): string {
  return `/dev/vfio/${noiommu ? "noiommu-" : ""}${number}`;
}
