/** Finds the current uses of a function, so that it is not taken from its users. */
import { readFileSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { listFolder, readAttribute } from "./attribute.ts";
import {
  describeFunctions,
  functionsBehind,
  removeVirtualFunctions,
  virtualFunctions,
} from "./dependents.ts";
import { FUNCTIONS, type PciFunction } from "./functions.ts";
import { groupNode } from "./group.ts";
import { describeHolder, findHolders } from "./holders.ts";
import { interfaceUses } from "./network-use.ts";
import { virtioPorts, virtioUses } from "./virtio-use.ts";

/**
 * Reasons not to take a function from its driver, as sentences without a full stop; empty if nothing uses it.
 * They are: disks that are mounted, used as swap, open, or held by device mapper or md; network interfaces
 * with the default route, an address or a master; virtio file systems, and consoles; the host bridge and its
 * kind; processes that have it open through VFIO, UIO, sysfs or a virtio port; its virtual functions, with
 * their own uses.
 */
export function findUses(of: PciFunction, root = FUNCTIONS): string[] {
  const disks = blockDevices(of);
  return [
    ...bridgeUses(of),
    ...disks.flatMap(diskUses),
    ...networkUses(of),
    ...virtioUses(of),
    ...consoleUses(of),
    ...processUses(of, disks),
    ...virtualFunctionUses(of, root),
  ];
}

/** The same of several functions, each with its function's address before it. */
export function findUsesOf(functions: readonly PciFunction[]): string[] {
  return functions.flatMap((of) => findUses(of).map((use) => `${of.address}: ${use}`));
}

/**
 * Reasons not to turn a bridge off, in the same form: the functions behind it that have a driver or a use.
 * Addresses in `besides` do not count.
 */
export function findUsesBehind(of: PciFunction, besides: readonly string[] = [], root = FUNCTIONS): string[] {
  if (!of.isBridge) return [];
  return functionsBehind(of, root)
    .filter(({ address }) => !besides.includes(address))
    .flatMap((behind) => {
      const uses = findUses(behind, root);
      if (uses.length > 0) return uses.map((use) => `${behind.address} is behind it: ${use}`);
      return behind.driver === undefined ? [] : [`${describeFunctions([behind])} is behind it`];
    });
}

function virtualFunctionUses(of: PciFunction, root: string): string[] {
  const virtual = virtualFunctions(of, root);
  if (virtual.length === 0) return [];
  return [
    ...virtual.flatMap((each) =>
      findUses(each, root).map((use) => `its virtual function ${each.address}: ${use}`),
    ),
    `its virtual functions disappear when its driver is unbound: ${describeFunctions(virtual)}; ${removeVirtualFunctions(of.address)} removes them`,
  ];
}

function processUses(of: PciFunction, disks: readonly string[]): string[] {
  const names = new Map<string, string[]>();
  for (const holder of findHolders(deviceFiles(of, disks), of.path)) {
    const who = describeHolder(holder);
    const name = holder.path.startsWith(of.path) ? basename(holder.path) : holder.path;
    names.set(who, [...(names.get(who) ?? []), name]);
  }
  return [...names].map(([who, files]) => `${who} has ${files.join(", ")} open`);
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return "";
  }
}

/** Files through which processes reach the function: its own and its disks'. */
function deviceFiles(of: PciFunction, disks: readonly string[]): Set<string> {
  const { iommuGroup: group } = of;
  return new Set([
    ...(group ? [groupNode(group)] : []),
    ...listFolder(join(of.path, "vfio-dev")).map((name) => `/dev/vfio/devices/${name}`),
    join(of.path, "vfio-dev"),
    ...listFolder(join(of.path, "uio")).map((name) => `/dev/${name}`),
    ...listFolder(of.path)
      // A program that drives the function through vfiokit keeps `config` open.
      .filter((name) => name === "config" || /^resource\d/.test(name))
      .map((name) => join(of.path, name)),
    ...disks.map((name) => `/dev/${name}`),
    ...virtioPorts(of).map((name) => `/dev/${name}`),
  ]);
}

/** Names of the function's disks and their partitions. */
function blockDevices(of: PciFunction): string[] {
  const inside = `${of.path}/`;
  return listFolder("/sys/class/block").filter((name) => {
    const path = realPath(`/sys/class/block/${name}`);
    if (path.startsWith(inside)) return true;
    // A multipath NVMe namespace belongs to a subsystem, which links to its controllers.
    const subsystem = /^.*\/nvme-subsystem\/[^/]+/.exec(path)?.[0];
    return (
      subsystem !== undefined &&
      listFolder(subsystem).some(
        (entry) => /^nvme\d+$/.test(entry) && realPath(join(subsystem, entry)).startsWith(inside),
      )
    );
  });
}

function diskUses(name: string): string[] {
  const number = readAttribute(`/sys/class/block/${name}/dev`);
  const node = `/dev/${name}`;
  const mounts = lines("/proc/self/mountinfo").flatMap((line) => {
    // proc(5): id parent major:minor root MOUNTPOINT options ... - type SOURCE options
    const fields = line.split(" ");
    const source = fields[fields.indexOf("-") + 2];
    return fields[2] === number || source === node ? fields[4]! : [];
  });
  const swaps = lines("/proc/swaps").some((line) => line.split(/\s/)[0] === node);
  return [
    ...mounts.map((where) => `${name} is mounted on ${where}`),
    ...(swaps ? [`${name} is swap`] : []),
    ...listFolder(`/sys/class/block/${name}/holders`).map((holder) => `${name} is held by ${holder}`),
  ];
}

function networkUses(of: PciFunction): string[] {
  const names = listFolder("/sys/class/net").filter((name) =>
    realPath(`/sys/class/net/${name}`).startsWith(`${of.path}/`),
  );
  return names.flatMap(interfaceUses);
}

/** Base class, PCI Code and ID Assignment Specification 1.15, section 1.7. */
const BRIDGE = 0x06;
const bridgeNames: Readonly<Record<number, string>> = { 0: "the host bridge", 1: "the ISA bridge" };

/** Bridges with a bus behind them are left to planBind, which refuses them, and to findUsesBehind. */
function bridgeUses({ classCode, isBridge }: PciFunction): string[] {
  if (classCode >>> 16 !== BRIDGE || isBridge) return [];
  return [`it is ${bridgeNames[(classCode >>> 8) & 0xff] ?? "a bridge"}, which the machine itself needs`];
}

/** The function's serial ports that are the kernel's console. */
function consoleUses(of: PciFunction): string[] {
  const active = (readAttribute("/sys/class/tty/console/active") ?? "").split(" ").filter(Boolean);
  return active
    .filter((name) => realPath(`/sys/class/tty/${name}`).startsWith(`${of.path}/`))
    .map((name) => `${name} is the kernel's console`);
}
