/** The two ways in which VFIO hands a function to a process: by its group, and by a node of its own with iommufd. */
import { existsSync } from "node:fs";
import { SystemError } from "../../os/errno.ts";
import { type Fd, ioctl } from "../../os/fd.ts";
import type { PciFunction } from "../../pci/bus/functions.ts";
import { deviceNode, groupNode } from "../../pci/bus/group.ts";
import { DeviceError } from "../device.ts";
import type { DmaMemories } from "../dma-memory.ts";
import { whoHolds } from "../lock.ts";
import { PhysicalMemories } from "../physical/memories.ts";
import { NOIOMMU, Vfio } from "./abi.ts";
import { CONTAINER, Container } from "./container.ts";
import { MappedMemories } from "./dma.ts";
import { type OpenGroup, openGroup, openGroupDevice, openGroupNode } from "./group.ts";
import { IOMMUFD, openIoas } from "./iommufd.ts";
import { openNode, whyRefused } from "./node.ts";
import { bindToIommufd, explainRefusal, nameWithToken, setVfToken } from "./vf-token.ts";

/** A function that VFIO gave to this process. */
export interface VfioHandle {
  readonly fd: Fd;
  readonly reachedBy: string;
  /** The device disposes of it, after all that it holds: without an IOMMU only the descriptor's close ends its accesses. */
  readonly memories: DmaMemories;
  /** In noiommu mode: its group. */
  readonly ownGroup?: OpenGroup;
}

/**
 * Whether a function can be had by its node alone: the kernel has no groups (VFIO_GROUP) or no containers for them, or this machine's
 * container was given the one node and not the others.
 */
export function isByNodeOnly(pci: PciFunction): boolean {
  if (pci.iommuGroup === undefined || deviceNode(pci) === undefined || !existsSync(IOMMUFD)) return false;
  return !existsSync(groupNode(pci.iommuGroup)) || !existsSync(CONTAINER);
}

/** How VFIO is asked for a function. */
export interface VfioRequest {
  readonly spec: string;
  /** The UUID that a virtual function of vfio-pci's physical function needs; for a physical function, that of its virtual ones. */
  readonly vfToken?: string | undefined;
}

/** By its group, which has a container with a type 1 IOMMU. Adds what it opens to `held`. Throws DeviceError, SystemError. */
export function openByGroup(pci: PciFunction, request: VfioRequest, held: DisposableStack): VfioHandle {
  const { spec } = request;
  const group = held.use(openGroup(pci.iommuGroup!.number, pci.address, spec));
  const fd = held.use(openWithToken(pci, request, (name) => group.openDevice(name)));
  return { fd, reachedBy: `VFIO, IOMMU group ${group.number}`, memories: new MappedMemories(group, spec) };
}

/**
 * By its group in noiommu mode, whose memory has physical addresses. The kernel turns bus mastering off when the descriptor is closed.
 * Adds what it opens to `held`. Throws DeviceError, SystemError.
 */
export function openWithoutIommu(pci: PciFunction, request: VfioRequest, held: DisposableStack): VfioHandle {
  const { address, iommuGroup } = pci;
  const { spec } = request;
  const node = groupNode(iommuGroup!);
  const group = held.use(openGroupNode(iommuGroup!, address, spec));
  const container = held.use(new Container(spec, NOIOMMU));
  container.add(group, node);
  container.setIommu();
  const fd = held.use(openWithToken(pci, request, (name) => openGroupDevice(group, node, name)));
  const reachedBy = `VFIO in noiommu mode, ${node}, DMA by physical addresses`;
  const memories = new PhysicalMemories(spec);
  return { fd, reachedBy, memories, ownGroup: { number: iommuGroup!.number, fd: group } };
}

/** Throws DeviceError, SystemError. */
function openWithToken(pci: PciFunction, { spec, vfToken }: VfioRequest, open: (name: string) => Fd): Fd {
  try {
    return open(nameWithToken(pci.address, vfToken));
  } catch (error) {
    throw explainRefusal(error, pci, vfToken, spec);
  }
}

/** By its node and iommufd. Adds what it opens to `held`. Throws DeviceError, SystemError. */
export function openByNode(
  pci: PciFunction,
  { spec, vfToken }: VfioRequest,
  held: DisposableStack,
): VfioHandle {
  const node = deviceNode(pci);
  if (node === undefined)
    throw new DeviceError(
      `${spec}: iommufd can't be used: ${pci.address} has no node in /dev/vfio/devices: the kernel was built without VFIO_DEVICE_CDEV, or, in a container, the node was not passed in; open it as ${pci.address}, by its group`,
    );
  const ioas = held.use(openIoas(pci.iommuGroup!.number, spec));
  const whyNot = (code: string) => whyRefused(code, node, () => `it is in use by ${whoHolds(node)}`);
  const fd = held.use(openNode(node, spec, whyNot, pci.address));
  try {
    bindNode(fd, node, ioas.fdNumber, vfToken);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    // Unlike a group's node, the device's can be opened by several; one of them can have the device.
    fd[Symbol.dispose](); // or this process would be one that has it
    if (error.code === "EACCES") throw explainRefusal(error, pci, vfToken, spec);
    // EINVAL: another process has bound it. EBUSY: one has the group.
    const inUse = error.code === "EINVAL" || error.code === "EBUSY";
    const why = inUse
      ? `: it is in use by ${whoHolds(node, groupNode(pci.iommuGroup!))}; end that first`
      : "";
    throw new DeviceError(`${spec}: ${error.message}${why}`, { cause: error });
  }
  if (vfToken !== undefined && pci.physicalFunction === undefined)
    setVfToken(fd, vfToken, `${node}: set the VF token`);
  // struct vfio_device_attach_iommufd_pt: u32 argsz, flags, id of the address space.
  const attach = new DataView(new ArrayBuffer(12));
  attach.setUint32(0, 12, true);
  attach.setUint32(8, ioas.id, true);
  ioctl(fd, Vfio.DEVICE_ATTACH_IOMMUFD_PT, attach, `${node}: attach it to an address space`);
  return { fd, reachedBy: `VFIO, iommufd, ${node}`, memories: new MappedMemories(ioas, spec) };
}

/** Throws SystemError. */
function bindNode(fd: Fd, node: string, iommufd: number, vfToken: string | undefined): void {
  const what = `${node}: bind it to iommufd`;
  try {
    bindToIommufd(fd, iommufd, vfToken, what);
  } catch (error) {
    if (vfToken === undefined || !(error instanceof SystemError && error.code === "EINVAL")) throw error;
    // Linux before 6.17 takes no token here, and asks for none.
    bindToIommufd(fd, iommufd, undefined, what);
  }
}
