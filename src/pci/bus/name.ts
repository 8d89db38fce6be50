/** The names that a function goes by besides its address: its ids, and its disks, network interfaces and device nodes. */
import { type BigIntStats, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { canonicalAddress, isAddress } from "./address.ts";
import { listFolder } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { listFunctions } from "./functions.ts";

const IDS = /^([0-9a-f]{4}):([0-9a-f]{4})$/i;
/** A name of the kernel's, or a path in /dev. */
const DEVICE = /^(\/dev\/.+|[^\s/?]+)$/;

/** Whether a text is VENDOR:DEVICE, such as 1234:11e8, which may stand for several functions. */
export function isIdPair(text: string): boolean {
  return IDS.test(text);
}

/**
 * Addresses of the functions that a name stands for, in order; empty if there are none. A name is
 * - an address, with or without its domain, of a function that may be absent: 0000:00:09.0, 00:09.0
 * - VENDOR:DEVICE, of all functions with these ids: 1234:11e8
 * - a disk or partition, or any device node of a function: nvme0n1, /dev/nvme0n1, /dev/nvme0, a link to one in /dev/disk. A disk with
 *   several controllers (NVMe multipath) stands for all of them
 * - a network interface: eth0
 *
 * What hangs from a USB controller does not stand for it. `root` is where sysfs is mounted; tests have a tree of their own.
 */
export function functionsNamed(name: string, root = "/sys"): string[] {
  if (isAddress(name)) return [canonicalAddress(name)];
  const ids = IDS.exec(name);
  if (ids) {
    const [vendor, device] = ids.slice(1).map((digits) => Number.parseInt(digits, 16));
    return listFunctions(join(root, "bus/pci/devices"))
      .filter((of) => of.vendor === vendor && of.device === device)
      .map(({ address }) => address);
  }
  const found = pathsOf(name, root).flatMap((path) => functionsAbove(path));
  return [...new Set(found)].sort();
}

/** The one function that a name stands for, see {@link functionsNamed}. Throws BusError if it stands for no function, or for several. */
export function functionNamed(name: string, root = "/sys"): string {
  const [address, ...others] = functionsNamed(name, root);
  if (address === undefined) throw new BusError(whyNone(name, root), { remedies: [SHOWS] });
  if (others.length > 0)
    throw new BusError(
      `${name} stands for several functions: ${[address, ...others].join(", ")}; name one by its address`,
    );
  return address;
}

const SHOWS = { verb: "list", args: [], does: "shows them" };

function whyNone(name: string, root: string): string {
  if (isIdPair(name)) return `no PCI function has the ids ${name.toLowerCase()}`;
  const [path] = pathsOf(name, root);
  if (path === undefined)
    return `"${name}" is not a PCI address; an address looks like 0000:00:09.0, or 00:09.0; and it is no vendor:device such as 1234:11e8, and no disk or network interface that is here`;
  const controller = nearest(path);
  if (controller !== undefined)
    return `${name} hangs from the USB controller ${controller}, with all that is plugged into that: name the controller by its address`;
  const disks = listFolder(join(path, "slaves"));
  return `${name} belongs to no PCI function${disks.length > 0 ? `, but consists of ${disks.join(", ")}` : ""}`;
}

/** Where sysfs has the device, all links resolved; empty if it has none. */
function pathsOf(name: string, root: string): string[] {
  if (!DEVICE.test(name)) return [];
  const links = name.startsWith("/dev/")
    ? [numbered(name, root)]
    : [join(root, "class/block", name), join(root, "class/net", name), numbered(`/dev/${name}`, root)];
  const paths = links.flatMap((link) => {
    try {
      return link === undefined ? [] : realpathSync(link);
    } catch {
      return [];
    }
  });
  return [...new Set(paths)];
}

/** A node's entry in sysfs: /sys/dev/block/259:0. */
function numbered(node: string, root: string): string | undefined {
  let stat: BigIntStats;
  try {
    stat = statSync(node, { bigint: true });
  } catch {
    return undefined;
  }
  if (!(stat.isBlockDevice() || stat.isCharacterDevice())) return undefined;
  // As the C library has it: makedev(3).
  const major = ((stat.rdev >> 8n) & 0xfffn) | ((stat.rdev >> 32n) & ~0xfffn);
  const minor = (stat.rdev & 0xffn) | ((stat.rdev >> 12n) & ~0xffn);
  return join(root, "dev", stat.isBlockDevice() ? "block" : "char", `${major}:${minor}`);
}

/** The nearest function above a path of sysfs. */
const nearest = (path: string) => path.split("/").findLast(isAddress);

function functionsAbove(path: string): string[] {
  const address = nearest(path);
  if (address !== undefined) return /\/usb\d+\//.test(path) ? [] : [address];
  // A multipath NVMe disk belongs to a subsystem, which links to its controllers.
  const subsystem = /^.*\/nvme-subsystem\/[^/]+/.exec(path)?.[0];
  if (subsystem === undefined) return [];
  return listFolder(subsystem)
    .filter((entry) => /^nvme\d+$/.test(entry))
    .flatMap((entry) => nearest(realpathSync(join(subsystem, entry))) ?? []);
}
