/**
 * Records what `bind` replaced until `release` restores it. There is one file per function; a reboot removes
 * it with the binding.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAddress } from "./address.ts";
import { codeOf } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import type { DriverState } from "./kernel-driver.ts";

const FOLDER = "/run/vfiokit/bindings";

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

const pathOf = (address: string) => join(FOLDER, `${address}.json`);

/** Addresses with a record, in order. */
export function recordedAddresses(): string[] {
  try {
    return readdirSync(FOLDER)
      .filter((name) => name.endsWith(".json"))
      .map((name) => name.slice(0, -".json".length))
      .filter(isAddress)
      .sort();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw failed("list", FOLDER, error);
  }
}

/** A function's record, or undefined if it has none. Throws BusError if it can't be read. */
export function readRecord(address: string): BindingRecord | undefined {
  const path = pathOf(address);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw failed("read", path, error);
  }
  const record = parse(text);
  if (!record) throw new BusError(`${path} is not a binding record: inspect it, and remove it`);
  return record;
}

/** Writes a record atomically; only root can read it. Throws BusError. */
export function writeRecord(address: string, record: BindingRecord): void {
  const path = pathOf(address);
  try {
    mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
    const unfinished = `${path}.${process.pid}`;
    writeFileSync(unfinished, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    renameSync(unfinished, path);
  } catch (error) {
    throw failed("write", path, error);
  }
}

/** Removes a record, if there is one. Throws BusError. */
export function removeRecord(address: string): void {
  try {
    rmSync(pathOf(address), { force: true });
  } catch (error) {
    throw failed("remove", pathOf(address), error);
  }
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
