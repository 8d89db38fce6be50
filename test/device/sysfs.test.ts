/** What opening through sysfs refuses, of functions made up here; real ones are opened in test/guest/inside. */
import { expect, test } from "bun:test";
import { DeviceError } from "../../src/device/device.ts";
import { ASKED_FOR, openSysfs } from "../../src/device/sysfs/device.ts";
import type { PciFunction } from "../../src/pci/bus/functions.ts";
import type { Advice, Remedy } from "../../src/remedy/remedy.ts";
import { card as bound } from "../pci/made-up.ts";

const card: PciFunction = {
  ...bound,
  path: "/nowhere",
  driver: undefined,
  driverOverride: undefined,
  resources: [],
};
const ADDRESS = card.address;

const DOCTOR = { verb: "doctor", args: [], does: "shows which" };

test.each<[string, Partial<PciFunction>, Advice, string, Remedy[]]>([
  [
    "sysfs was asked for, and VFIO's driver has it already",
    { driver: "vfio-pci" },
    ASKED_FOR,
    `vfio-pci has ${ADDRESS}, so its BARs are mapped through VFIO: open it as ${ADDRESS}, without sysfs`,
    [{ verb: "release", args: [ADDRESS], does: "unbinds it from vfio-pci" }],
  ],
  [
    "VFIO's driver has it and VFIO can't be used",
    { driver: "vfio-pci", iommuGroup: { number: 0, noiommu: true } },
    { text: "the IOMMU is off", remedies: [DOCTOR] },
    `vfio-pci has ${ADDRESS}, so its BARs can't be mapped through sysfs, and VFIO can't be used: the IOMMU is off`,
    [DOCTOR, { verb: "bind", args: [ADDRESS, "--driver", "uio_pci_generic"], does: "works without VFIO" }],
  ],
  [
    "the kernel's driver has it",
    { driver: "nvme" },
    { text: "nvme is bound to it", remedies: [] },
    `nvme drives ${ADDRESS}; its BARs can't be mapped while it does`,
    [{ verb: "bind", args: [ADDRESS] }],
  ],
  [
    "it is a bridge, which can't be bound",
    { driver: "pcieport", isBridge: true },
    { text: "it is a bridge", remedies: [] },
    `pcieport drives ${ADDRESS}; its BARs can't be mapped while it does, and no driver for user space supports bridges`,
    [{ verb: "peek", args: [ADDRESS, "config:0"], does: "reads its configuration space" }],
  ],
])("where %s the message says why, and the remedies what helps", (_, of, why, message, remedies) => {
  const error = thrown(() => openSysfs({ ...card, ...of }, why, { spec: ADDRESS }));
  expect([error.message, error.remedies]).toEqual([`${ADDRESS}: ${message}`, remedies]);
});

function thrown(work: () => unknown): DeviceError {
  try {
    work();
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
