/** An IOMMU group. VFIO hands out all of its functions or none, because the hardware can't isolate them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { listFolder } from "./attribute.ts";
import { groupMembers, type IommuGroup, type PciFunction } from "./functions.ts";

/** A function of an IOMMU group, and whether it keeps VFIO from using the group. */
export interface GroupMember {
  readonly function: PciFunction;
  /** Whether VFIO can use the group with this member as it is. */
  readonly viable: boolean;
  /** Why, in a few words. */
  readonly verdict: string;
}

/** Drivers besides VFIO's that leave DMA to the group's owner (`driver_managed_dma` in the kernel). */
const tolerant: readonly string[] = ["pci-stub", "pcieport"];

/** Whether a driver is VFIO's: vfio-pci, or a variant for certain devices such as mlx5_vfio_pci. */
export function isVfioDriver(driver: string | undefined): boolean {
  return driver !== undefined && /vfio[-_]pci$/.test(driver);
}

/** Whether a driver hands functions to user space, or reserves them for it. */
export function isForUserSpace(driver: string | undefined): boolean {
  return isVfioDriver(driver) || driver === "uio_pci_generic" || driver === "pci-stub";
}

/** The members with their verdicts, ordered by address. */
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

/** The device node that opens a group. */
export function groupNode({ number, noiommu }: IommuGroup): string {
  return `/dev/vfio/${noiommu ? "noiommu-" : ""}${number}`;
}

/** The nodes that open a function, which may not be there yet: its group's, and its own where the kernel has made one. */
export function nodesOf(of: PciFunction): string[] {
  return [of.iommuGroup && groupNode(of.iommuGroup), deviceNode(of)].filter((node) => node !== undefined);
}

/** The function's own node, where the kernel has one (VFIO_DEVICE_CDEV): /dev/vfio/devices/vfioN. */
export function deviceNode({ path }: Pick<PciFunction, "path">): string | undefined {
  const [name] = listFolder(join(path, "vfio-dev"));
  const node = `/dev/vfio/devices/${name}`;
  return name !== undefined && existsSync(node) ? node : undefined;
}
