/** What a set-up's group may write, on this machine as it is now: owners and modes of files in /dev and /sys. */
import { chmodSync, chownSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../bus/attribute.ts";
import { DEFAULT_DRIVER } from "../bus/binding.ts";
import { GROUP_FOLDER, keepRecord } from "../bus/binding-record.ts";
import { BusError } from "../bus/bus-error.ts";
import { FUNCTIONS, readFunction } from "../bus/functions.ts";
import { nodesOf } from "../bus/group.ts";
import type { Setup } from "./setup-record.ts";

/** In octal, as chmod has them. The folder's makes what is created in it the group's. */
export const groupModes = { node: "0660", override: "0664", switch: "0220", folder: "2770" } as const;
/** The kernel's own modes of the same files. */
const rootModes = { node: "0600", override: "0644", switch: "0200" } as const;
/** As groupModes.node says, but root's, as drivers/iommu/iommufd/main.c has it. */
const IOMMUFD = { path: "/dev/iommu", rootMode: "0660" } as const;

/** A file or a folder, and who may write it. */
export interface Right {
  readonly path: string;
  /** The group's mode, in octal. */
  readonly mode: string;
  /** The mode before, which root alone has. */
  readonly rootMode: string;
  /** The function whose driver_override this is. */
  readonly address?: string;
}

/** What is to be given now: nodes that are not there yet get their rights from udev. */
export function rightsOf({ functions }: Setup): Right[] {
  const switches = ["bind", "unbind"].map((name) => join("/sys/bus/pci/drivers", DEFAULT_DRIVER, name));
  const present = functions.filter(({ address }) => existsSync(join(FUNCTIONS, address)));
  const nodes = present.flatMap(({ address }) => nodesOf(readFunction(address)));
  return [
    ...switches.map((path) => ({ path, mode: groupModes.switch, rootMode: rootModes.switch })),
    ...present.map(({ address }) => ({
      path: join(FUNCTIONS, address, "driver_override"),
      mode: groupModes.override,
      rootMode: rootModes.override,
      address,
    })),
    ...[...new Set(nodes)]
      .filter((path) => existsSync(path))
      .map((path) => ({ path, mode: groupModes.node, rootMode: rootModes.node })),
    ...(existsSync(IOMMUFD.path)
      ? [{ path: IOMMUFD.path, mode: groupModes.node, rootMode: IOMMUFD.rootMode }]
      : []),
  ];
}

/** Makes a file root's and the group's. Throws BusError. */
export function giveRight({ path, mode, address }: Right, group: number): void {
  change(address, () => own(path, group, mode));
}

/** Makes a file root's alone again. One that is gone has nothing to take. Throws BusError. */
export function takeRight({ path, rootMode, address }: Right): void {
  if (existsSync(path)) change(address, () => own(path, 0, rootMode));
}

function change(address: string | undefined, act: () => void): void {
  if (address === undefined) act();
  else keepRecord(address, act);
}

/** Makes the folder for the group's records of bindings. Throws BusError. */
export function giveFolder(group: number): void {
  try {
    mkdirSync(GROUP_FOLDER, { recursive: true });
  } catch (error) {
    throw new BusError(`can't make ${GROUP_FOLDER}: ${codeOf(error)}`, { cause: error });
  }
  own(join(GROUP_FOLDER, ".."), 0, "0755");
  own(GROUP_FOLDER, group, groupModes.folder);
}

function own(path: string, group: number, mode: string): void {
  try {
    chownSync(path, 0, group);
    chmodSync(path, Number.parseInt(mode, 8));
  } catch (error) {
    throw new BusError(`can't give ${path} to a group: ${codeOf(error)}`, { cause: error });
  }
}
