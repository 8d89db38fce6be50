/** The PCI bus as sysfs shows it: Documentation/ABI/testing/sysfs-bus-pci in the kernel. */
import { readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { canonicalAddress, isAddress } from "./address.ts";
import { listFolder, readAttribute, readLinkName } from "./attribute.ts";
import { BusError } from "./bus-error.ts";

/** Where sysfs lists functions by address. Tests use a tree of their own. */
export const FUNCTIONS = "/sys/bus/pci/devices";

/** The ids of a function, 16 bits each. */
export interface PciIds {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystem: number;
}

/** A range of addresses that the kernel assigned to a function. */
export interface PciResource {
  /** First and last byte, inclusive; both 0 if there is none. */
  readonly start: bigint;
  readonly end: bigint;
  /** IORESOURCE_*, see {@link ResourceFlag}. */
  readonly flags: bigint;
}

/** Bits of a resource's flags, from include/linux/ioport.h. */
export const ResourceFlag = {
  IO: 0x100n,
  MEMORY: 0x200n,
  PREFETCH: 0x2000n,
  MEMORY_64: 0x10_0000n,
  UNSET: 0x2000_0000n,
} as const;

/** An IOMMU group of functions, which only one user can have. */
export interface IommuGroup {
  readonly number: number;
  /** Whether VFIO made it in noiommu mode, so that it protects nothing. */
  readonly noiommu: boolean;
}

/** A PCI function as sysfs shows it. */
export interface PciFunction extends PciIds {
  /** Canonical: 0000:00:09.0. */
  readonly address: string;
  /** Its sysfs directory, all links resolved; its block devices, network interfaces and so on lie below. */
  readonly path: string;
  /** 24 bits: base class, subclass, programming interface. */
  readonly classCode: number;
  readonly revision: number;
  /** The driver bound to it. */
  readonly driver: string | undefined;
  /** The only driver that may bind it, if one was set. */
  readonly driverOverride: string | undefined;
  readonly iommuGroup: IommuGroup | undefined;
  readonly numaNode: number | undefined;
  /** The legacy interrupt's number; 0 if it has none. */
  readonly irq: number;
  /** BAR 0 to 5 and the expansion ROM. */
  readonly resources: readonly PciResource[];
  /** Whether it is a bridge, which may stay with its driver in a group that VFIO uses. */
  readonly isBridge: boolean;
  /** The bridge above it; undefined on a root bus. */
  readonly parent: string | undefined;
  /** The physical function that a virtual one belongs to. */
  readonly physicalFunction: string | undefined;
}

/** BARs and ROM. A bridge's windows and SR-IOV's BARs follow them in `resource`. */
const RESOURCES = 7;
/** Class and subclass of bridges that have a bus behind them: PCI, CardBus, semi-transparent PCI. */
const bridgeClasses: readonly number[] = [0x0604, 0x0607, 0x0609];

/** Whether a class code is that of a bridge with a bus behind it. */
export function isBridgeClass(classCode: number): boolean {
  return bridgeClasses.includes(classCode >>> 8);
}

const files = {
  vendor: "vendor",
  device: "device",
  subsystemVendor: "subsystem_vendor",
  subsystem: "subsystem_device",
} as const;

/** Addresses (0000:00:09.0) of the functions with these ids, in order; empty if there is no PCI bus. */
export function findFunctions(ids: PciIds, root = FUNCTIONS): string[] {
  const has = (address: string, key: keyof PciIds): boolean => {
    try {
      return Number(readFileSync(join(root, address, files[key]), "latin1")) === ids[key];
    } catch {
      // Unplugged since it was listed.
      return false;
    }
  };
  return listAddresses(root).filter((address) =>
    (Object.keys(files) as (keyof PciIds)[]).every((key) => has(address, key)),
  );
}

/** Addresses of all functions, in order; empty if there is no PCI bus. */
export function listAddresses(root = FUNCTIONS): string[] {
  return listFolder(root).sort();
}

/** All functions, ordered by address; empty if there is no PCI bus. */
export function listFunctions(root = FUNCTIONS): PciFunction[] {
  return listAddresses(root).flatMap((address) => lookUp(address, root) ?? []);
}

/** Finds one function. The address may omit the domain. Throws BusError if there is no such function. */
export function readFunction(address: string, root = FUNCTIONS): PciFunction {
  const canonical = canonicalAddress(address);
  const found = lookUp(canonical, root);
  if (!found)
    throw new BusError(`there is no PCI function ${canonical}`, {
      remedies: [
        { verb: "list", args: [], does: "shows those present" },
        { verb: "rescan", args: ["--bus", "all"], does: "looks for new ones" },
      ],
    });
  return found;
}

/** The functions of a group, in order. VFIO hands out all of them or none. */
export function groupMembers(group: IommuGroup, root = FUNCTIONS): PciFunction[] {
  return listFunctions(root).filter((member) => member.iommuGroup?.number === group.number);
}

function lookUp(address: string, root: string): PciFunction | undefined {
  const directory = join(root, address);
  const text = (name: string) => readAttribute(join(directory, name));
  const number = (name: string) => Number(text(name) ?? 0);
  let path: string;
  try {
    path = realpathSync(directory);
  } catch {
    return undefined;
  }
  // Unplugged since it was listed, or being unplugged.
  if (text("vendor") === undefined) return undefined;

  const classCode = number("class");
  const override = text("driver_override");
  const node = Number(text("numa_node") ?? -1);
  const above = basename(dirname(path));
  const group = readLinkName(join(directory, "iommu_group"));
  return {
    address,
    path,
    vendor: number("vendor"),
    device: number("device"),
    subsystemVendor: number("subsystem_vendor"),
    subsystem: number("subsystem_device"),
    classCode,
    revision: number("revision"),
    driver: readLinkName(join(directory, "driver")),
    // The kernel writes "(null)" if none is set.
    driverOverride: override === "" || override === "(null)" ? undefined : override,
    iommuGroup:
      group === undefined
        ? undefined
        : { number: Number(group), noiommu: text("iommu_group/name") === "vfio-noiommu" },
    numaNode: node < 0 ? undefined : node,
    irq: number("irq"),
    resources: parseResources(text("resource") ?? ""),
    isBridge: isBridgeClass(classCode),
    parent: isAddress(above) ? above : undefined,
    physicalFunction: readLinkName(join(directory, "physfn")),
  };
}

/** Lines of `0xSTART 0xEND 0xFLAGS`. */
function parseResources(text: string): PciResource[] {
  const lines = text.split("\n").slice(0, RESOURCES);
  return lines.flatMap((line) => {
    const parts = line.split(" ");
    if (parts.length !== 3 || !parts.every((part) => /^0x[0-9a-f]+$/.test(part))) return [];
    const [start, end, flags] = parts.map(BigInt);
    return [{ start: start!, end: end!, flags: flags! }];
  });
}
