/** Resets a whole slot or bus, for a function that can't be reset alone: VFIO_DEVICE_PCI_HOT_RESET. */
import { SystemError } from "../../os/errno.ts";
import { type Fd, ioctl } from "../../os/fd.ts";
import { DeviceError } from "../device.ts";
import { MAX_DEPENDENTS } from "../limits.ts";
import { Vfio } from "./abi.ts";
import { type OpenGroup, openGroups } from "./group.ts";

/** `struct vfio_pci_hot_reset_info` without its devices: u32 argsz, flags, count. */
const INFO_BYTES = 12;
/** `struct vfio_pci_dependent_device`: u32 group or, with iommufd, device id, u16 segment, u8 bus, u8 device and function. */
const DEPENDENT_BYTES = 8;
/** VFIO_PCI_HOT_RESET_FLAG_DEV_ID: the ids are iommufd's. */
const BY_DEVICE_ID = 1;
/** VFIO_PCI_DEVID_NOT_OWNED: this process's iommufd does not have it. */
const NOT_OWNED = 0xffff_ffff;

/**
 * Throws DeviceError if no slot or bus reset is possible, or if it would reset a device of a group that this
 * process has not opened; SystemError if the kernel refuses.
 */
export function hotReset(device: Fd, spec: string, own: OpenGroup | undefined): void {
  const groups = new Map<number, OpenGroup>(openGroups());
  if (own) groups.set(own.number, own);
  const { byDeviceId, all } = dependents(device, spec);
  const isOurs = ({ id }: Dependent) => (byDeviceId ? id !== NOT_OWNED : groups.has(id));
  const others = all.filter((dependent) => !isOurs(dependent));
  if (others.length > 0) {
    const list = others
      .map(({ address, id }) => (byDeviceId ? address : `${address} (group ${id})`))
      .join(", ");
    throw new DeviceError(
      `${spec}: it can't be reset alone, and a reset of its bus would also reset ${list}, which this process has not opened`,
    );
  }
  // struct vfio_pci_hot_reset: u32 argsz, flags, count; i32 group descriptors. Without any, iommufd says whose they are.
  const affected = byDeviceId ? [] : [...new Set(all.map(({ id }) => id))];
  const request = new DataView(new ArrayBuffer(12 + 4 * affected.length));
  request.setUint32(0, request.byteLength, true);
  request.setUint32(8, affected.length, true);
  for (const [i, number] of affected.entries())
    request.setInt32(12 + 4 * i, groups.get(number)!.fd.number, true);
  ioctl(device, Vfio.DEVICE_PCI_HOT_RESET, request, "reset the device's bus");
}

interface Dependent {
  readonly address: string;
  readonly id: number;
}

function dependents(device: Fd, spec: string): { byDeviceId: boolean; all: Dependent[] } {
  const info = new DataView(new ArrayBuffer(INFO_BYTES + MAX_DEPENDENTS * DEPENDENT_BYTES));
  info.setUint32(0, info.byteLength, true);
  try {
    ioctl(device, Vfio.DEVICE_GET_PCI_HOT_RESET_INFO, info, "find out what a reset of the bus would reset");
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENODEV")
      throw new DeviceError(
        `${spec}: it can't be reset: it has no reset of its own, and the bus it is on has none either (ENODEV)`,
        { cause: error },
      );
    throw error;
  }
  const count = Math.min(info.getUint32(8, true), MAX_DEPENDENTS);
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
  const all = Array.from({ length: count }, (_, i) => {
    const at = INFO_BYTES + i * DEPENDENT_BYTES;
    const [segment, bus, devfn] = [
      info.getUint16(at + 4, true),
      info.getUint8(at + 6),
      info.getUint8(at + 7),
    ];
    const address = `${hex(segment, 4)}:${hex(bus, 2)}:${hex(devfn >> 3, 2)}.${devfn & 7}`;
    return { address, id: info.getUint32(at, true) };
  });
  return { byDeviceId: (info.getUint32(4, true) & BY_DEVICE_ID) !== 0, all };
}
