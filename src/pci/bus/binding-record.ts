/**
 * Records what `bind` replaced until `release` restores it. There is one file per function; a reboot removes
 * it with the binding. Records of functions that a group may bind lie in a folder of the group's; root's own folder is
 * closed to it, so that no member can say what another function had before.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { MAX_RECORD_BYTES } from "../limits.ts";
import { isAddress } from "./address.ts";
import { codeOf } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { FUNCTIONS } from "./functions.ts";
import type { DriverState } from "./kernel-driver.ts";

const PARENT = "/run/vfiokit";
const FOLDER = join(PARENT, "bindings");
/** Writable for the group of src/pci/setup, which makes it. */
export const GROUP_FOLDER = join(PARENT, "group-bindings");
/** S_IWGRP, stat(2). */
const GROUP_WRITES = 0o020;

export interface BindingRecord extends DriverState {
  /** The driver that `bind` gave the function to; null for none. See {@link isCurrent}. */
  readonly boundTo: string | null;
  /** Whether `bind` turned VFIO's noiommu mode on for it, which `release` turns off. */
  readonly noiommu?: boolean;
}

/**
 * Whether a record still tells what a function had before. It does while `bind`'s driver has the function, or
 * while driver_override still names that driver: no other driver can have had the function since.
 */
export function isCurrent(record: BindingRecord, now: DriverState): boolean {
  return record.boundTo === now.driver || (record.boundTo !== null && record.boundTo === now.driverOverride);
}

/** The folder of a function's record: the group that may write its driver_override may write the record, too. */
function folderOf(address: string): string {
  const file = statSync(join(FUNCTIONS, address, "driver_override"), { throwIfNoEntry: false });
  return file !== undefined && (file.mode & GROUP_WRITES) !== 0 ? GROUP_FOLDER : FOLDER;
}

const pathOf = (address: string) => join(folderOf(address), `${address}.json`);

/** Addresses with a record, in order. Those of root's folder are missing for a member of the group. */
export function recordedAddresses(): string[] {
  // A member of the group may have put a record of any function there.
  const shared = recordsIn(GROUP_FOLDER).filter(
    (address) => !existsSync(join(FUNCTIONS, address)) || folderOf(address) === GROUP_FOLDER,
  );
  let own: string[] = [];
  try {
    own = recordsIn(FOLDER);
  } catch (error) {
    if (shared.length === 0) throw error;
  }
  return [...new Set([...own, ...shared])].sort();
}

function recordsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => name.slice(0, -".json".length))
      .filter(isAddress);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw failed("list", folder, error);
  }
}

/** A function's record, or undefined if it has none. Throws BusError if it can't be read. */
export function readRecord(address: string): BindingRecord | undefined {
  const path = pathOf(address);
  let text: string | undefined;
  try {
    text = readSmallFile(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw failed("read", path, error);
  }
  const record = text === undefined ? undefined : parse(text);
  if (!record) throw new BusError(`${path} is not a binding record: inspect it, and remove it`);
  return record;
}

/** Undefined if it is no regular file, or too long: a member of the group may have put anything there. */
function readSmallFile(path: string): string | undefined {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    return stats.isFile() && stats.size <= MAX_RECORD_BYTES ? readFileSync(fd, "utf8") : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Writes a record atomically; only root, or the function's group, can read it. Throws BusError. */
export function writeRecord(address: string, record: BindingRecord): void {
  const folder = folderOf(address);
  const path = join(folder, `${address}.json`);
  try {
    mkdirSync(PARENT, { recursive: true, mode: 0o755 });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const unfinished = `${path}.${process.pid}`;
    rmSync(unfinished, { force: true });
    // "x": a link that a member of the group has put there is not followed.
    const fd = openSync(unfinished, "wx", 0o600);
    try {
      // Whatever the umask is: another member may release it.
      if (folder === GROUP_FOLDER) fchmodSync(fd, 0o640);
      writeFileSync(fd, `${JSON.stringify(record)}\n`);
    } finally {
      closeSync(fd);
    }
    renameSync(unfinished, path);
  } catch (error) {
    throw failed("write", path, error);
  }
}

/** Removes a record, if there is one. Throws BusError. */
export function removeRecord(address: string): void {
  // Of a function that is gone nothing says whose it was.
  const paths = existsSync(join(FUNCTIONS, address))
    ? [pathOf(address)]
    : [FOLDER, GROUP_FOLDER]
        .map((folder) => join(folder, `${address}.json`))
        .filter((path) => existsSync(path));
  for (const path of paths) removeFile(path);
}

function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw failed("remove", path, error);
  }
}

/** Changes who may write a function's driver_override, and takes its record to the folder that is then right. Throws BusError. */
export function keepRecord(address: string, change: () => void): void {
  const before = pathOf(address);
  let record: BindingRecord | undefined;
  try {
    record = readRecord(address);
  } catch (error) {
    // A member of the group may have put anything there, which must not keep the group's rights.
    if (!(error instanceof BusError)) throw error;
  }
  change();
  if (record === undefined || pathOf(address) === before) return;
  writeRecord(address, record);
  removeFile(before);
}

function parse(text: string): BindingRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { driver, driverOverride, boundTo, noiommu } = value as Record<string, unknown>;
  const isName = (name: unknown): name is string | null =>
    name === null || (typeof name === "string" && /^[\w-]+$/.test(name));
  return isName(driver) && isName(driverOverride) && isName(boundTo)
    ? { driver, driverOverride, boundTo, ...(noiommu === true && { noiommu }) }
    : undefined;
}

function failed(what: string, path: string, error: unknown): BusError {
  const code = codeOf(error);
  const hint = code === "EACCES" || code === "EPERM" ? ": this needs root: run it with sudo" : "";
  return new BusError(`can't ${what} ${path}: ${code}${hint}`, { cause: error });
}
