/** A function that no machine has, for tests that change what matters to them. */
import type { PciFunction } from "../../src/pci/bus/functions.ts";

/** A function in order: bound to vfio-pci. */
export const card: PciFunction = {
  address: "0000:00:09.0",
  path: "/sys/devices/pci0000:00/0000:00:09.0",
  vendor: 0x10ee,
  device: 0x7022,
  subsystemVendor: 0x10ee,
  subsystem: 7,
  classCode: 0x058000,
  revision: 0,
  driver: "vfio-pci",
  driverOverride: "vfio-pci",
  iommuGroup: { number: 12, noiommu: false },
  numaNode: undefined,
  irq: 47,
  resources: [{ start: 0x10800000n, end: 0x10800fffn, flags: 0x40200n }],
  isBridge: false,
  parent: undefined,
  physicalFunction: undefined,
};
