/** A VFIO group in its own container, opened once per process and shared by the group's devices. */
import { SystemError } from "../../os/errno.ts";
import { Fd, ioctl } from "../../os/fd.ts";
import type { Mapping } from "../../os/memory.ts";
import { groupMembers, type IommuGroup } from "../../pci/bus/functions.ts";
import { deviceNode, groupNode, judgeGroup } from "../../pci/bus/group.ts";
import { DeviceError } from "../device.ts";
import { IovaAllocator, type IovaRange } from "../iova.ts";
import { whoHolds } from "../lock.ts";
import { GroupFlag, TYPE1V2, Vfio } from "./abi.ts";
import { Container } from "./container.ts";
import { openNode, whyRefused } from "./node.ts";
import type { DmaSpace } from "./space.ts";

/** A group that this process has open. */
export interface OpenGroup {
  readonly number: number;
  readonly fd: Fd;
}

const open = new Map<number, Group>();

/** The groups that this process has open, by number. */
export function openGroups(): ReadonlyMap<number, Group> {
  return open;
}

/** Opens a group, or adds a user to an open one. Throws DeviceError. */
export function openGroup(number: number, address: string, spec: string): Group {
  const group = open.get(number) ?? new Group(number, address, spec);
  open.set(number, group);
  group.users++;
  return group;
}

export class Group implements DmaSpace, Disposable {
  readonly number: number;
  readonly container: Container;
  readonly addresses: IovaAllocator;
  readonly fd: Fd;
  users = 0;

  constructor(number: number, address: string, spec: string) {
    this.number = number;
    this.fd = openGroupNode({ number, noiommu: false }, address, spec);
    let container: Container | undefined;
    try {
      this.#checkViable(spec);
      container = new Container(spec, TYPE1V2);
      container.add(this.fd, `/dev/vfio/${number}`);
      try {
        container.setIommu();
      } catch (error) {
        if (!(error instanceof SystemError && error.code === "EPERM")) throw error;
        throw new DeviceError(
          `${spec}: ${error.message}: the IOMMU does not remap interrupts, so a device could forge them; turn that on in the firmware, or, unsafe: echo Y > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts`,
          { cause: error },
        );
      }
      this.addresses = new IovaAllocator(container.info().ranges);
      this.container = container;
    } catch (error) {
      container?.[Symbol.dispose]();
      this.fd[Symbol.dispose]();
      if (!(error instanceof SystemError)) throw error;
      throw new DeviceError(`${spec}: ${error.message}`, { cause: error });
    }
  }

  /** `struct vfio_group_status`: u32 argsz, flags. */
  #checkViable(spec: string): void {
    const status = new DataView(new ArrayBuffer(8));
    status.setUint32(0, 8, true);
    ioctl(this.fd, Vfio.GROUP_GET_STATUS, status, `/dev/vfio/${this.number}: read the group's status`);
    if (status.getUint32(4, true) & GroupFlag.VIABLE) return;
    const members = judgeGroup({ number: this.number, noiommu: false });
    const list = members.map(({ function: of }) => `${of.address} (${of.driver ?? "no driver"})`).join(", ");
    const first = members.find(({ viable }) => !viable)?.function;
    throw new DeviceError(
      `${spec}: IOMMU group ${this.number} is not viable, its members are ${list}: a device that shares its group must be bound to vfio-pci or to nothing`,
      { remedies: [{ verb: "bind", args: [first?.address ?? "ADDRESS"] }] },
    );
  }

  /** The descriptor of the device with this name, see {@link openGroupDevice}. Throws SystemError. */
  openDevice(name: string): Fd {
    return openGroupDevice(this.fd, `/dev/vfio/${this.number}`, name);
  }

  ranges(): readonly IovaRange[] {
    return this.container.info().ranges;
  }

  map(mapping: Mapping, iova: number): void {
    this.container.map(mapping, iova);
  }

  unmap(iova: number, sizeBytes: number): void {
    this.container.unmap(iova, sizeBytes);
  }

  whyNot(code: string): string {
    const { mappingsLeft } = this.container.info();
    if (code === "ENOSPC")
      return `the container accepts only ${mappingsLeft ?? 0} more mappings; as root: echo N > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit, and open the device again`;
    if (code === "EEXIST") return "these addresses are mapped already";
    return "the IOMMU can't map it";
  }

  /** Removes one user; the last one closes the group. */
  [Symbol.dispose](): void {
    if (--this.users > 0) return;
    open.delete(this.number);
    this.fd[Symbol.dispose]();
    this.container[Symbol.dispose]();
  }
}

/** The device's descriptor. Its name is its address, and a VF token may follow (nameWithToken). Throws SystemError. */
export function openGroupDevice(group: Fd, node: string, name: string): Fd {
  const text = new Uint8Array(new ArrayBuffer(name.length + 1));
  new TextEncoder().encodeInto(name, text);
  return new Fd(ioctl(group, Vfio.GROUP_GET_DEVICE_FD, text, `${node}: open ${name.split(" ")[0]}`));
}

/** Throws DeviceError. */
export function openGroupNode({ number, noiommu }: IommuGroup, address: string, spec: string): Fd {
  const path = groupNode({ number, noiommu });
  const whyNot = (code: string) =>
    code === "ENOENT"
      ? `vfio-pci has ${address}, but the group's node does not exist: in a container, pass in ${path} and /dev/vfio/vfio; otherwise udev has not created it yet`
      : whyRefused(code, path, () => `the group is in use by ${whoHolds(path, ...memberNodes(number))}`);
  return openNode(path, spec, whyNot, address);
}

/** The members' own nodes, by which iommufd has them. */
function memberNodes(number: number): string[] {
  return groupMembers({ number, noiommu: false }).flatMap((member) => deviceNode(member) ?? []);
}
