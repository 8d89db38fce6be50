/** What opening through sysfs refuses, of functions made up here; real ones are opened in test/guest/inside. */
import { expect, test } from "bun:test";
import { ASKED_FOR, openSysfs } from "../../src/device/sysfs/device.ts";
import type { PciFunction } from "../../src/pci/bus/functions.ts";

const ADDRESS = "0000:00:09.0";
const card: PciFunction = {
  address: ADDRESS,
  path: "/nowhere",
  vendor: 0x10ee,
  device: 0x7022,
  subsystemVendor: 0x10ee,
  subsystem: 7,
  classCode: 0x058000,
  revision: 0,
  driver: undefined,
  driverOverride: undefined,
  iommuGroup: { number: 12, noiommu: false },
  numaNode: undefined,
  irq: 47,
  resources: [],
  isBridge: false,
  parent: undefined,
  physicalFunction: undefined,
};

test.each([
  [
    "sysfs was asked for, and VFIO's driver has it already",
    { driver: "vfio-pci" },
    ASKED_FOR,
    `vfio-pci has ${ADDRESS}, so its BARs are mapped through VFIO: name it ${ADDRESS} without sysfs:, or bun run release.ts ${ADDRESS}`,
  ],
  [
    "VFIO's driver has it and VFIO can't be used",
    { driver: "vfio-pci", iommuGroup: { number: 0, noiommu: true } },
    "VFIO has it in noiommu mode",
    `vfio-pci has ${ADDRESS}, so its BARs can't be mapped through sysfs, and VFIO can't be used: VFIO has it in noiommu mode; bun run bind.ts ${ADDRESS} --driver uio_pci_generic`,
  ],
  [
    "the kernel's driver has it",
    { driver: "nvme" },
    "nvme is bound to it",
    `nvme drives ${ADDRESS}; its BARs can't be mapped meanwhile: bun run bind.ts ${ADDRESS}`,
  ],
  [
    "it is a bridge, which can't be bound",
    { driver: "pcieport", isBridge: true },
    "it is a bridge",
    `pcieport drives ${ADDRESS}; its BARs can't be mapped meanwhile, and no driver for user space takes a bridge; bun run peek.ts ${ADDRESS} config:0 reads its configuration space`,
  ],
] as const)("where %s the message says what helps", (_, of, why, message) => {
  expect(() => openSysfs({ ...card, ...of }, why, ADDRESS)).toThrow(`${ADDRESS}: ${message}`);
});
