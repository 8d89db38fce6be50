/** The PCI bus as sysfs shows it: Documentation/ABI/testing/sysfs-bus-pci in the kernel. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface PciIds {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystem: number;
}

const files = {
  vendor: "vendor",
  device: "device",
  subsystemVendor: "subsystem_vendor",
  subsystem: "subsystem_device",
} as const;

/** Addresses (0000:00:09.0) of the functions with these ids, in order; none where there is no PCI bus. */
export function findFunctions(ids: PciIds, root = "/sys/bus/pci/devices"): string[] {
  let addresses: string[];
  try {
    addresses = readdirSync(root);
  } catch {
    return [];
  }
  const has = (address: string, key: keyof PciIds): boolean => {
    try {
      return Number(readFileSync(join(root, address, files[key]), "latin1")) === ids[key];
    } catch {
      // Unplugged meanwhile.
      return false;
    }
  };
  return addresses
    .filter((address) => (Object.keys(files) as (keyof PciIds)[]).every((key) => has(address, key)))
    .sort();
}
