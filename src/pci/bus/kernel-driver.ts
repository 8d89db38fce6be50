/**
 * Binds and unbinds drivers: driver_override, unbind, bind and drivers_probe of
 * Documentation/ABI/testing/sysfs-bus-pci in the kernel. It never writes `new_id`, which would also give the
 * driver every other function with the same ids.
 */
import { closeSync, existsSync } from "node:fs";
import { join } from "node:path";
import { type Advice, type Remedy, remediesOf } from "../../remedy/remedy.ts";
import { RELEASE_MS } from "../limits.ts";
import { codeOf, openAttribute, writeAttribute } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { type PciFunction, readFunction } from "./functions.ts";
import { isVfioDriver } from "./group.ts";
import { findUses } from "./in-use.ts";
import { FULL_KERNEL, moduleState } from "./module.ts";

const DRIVERS = "/sys/bus/pci/drivers";
const PROBE = "/sys/bus/pci/drivers_probe";

/** Cause of an error that leaves the kernel waiting; see {@link isStillWaiting}. */
const STILL_WAITING = "the kernel still waits";

/**
 * Whether an error means that the kernel still waits for a function's users to release it. Until they do, a
 * process that reads or writes the function's driver_override, or rescans, waits as well and can't be killed.
 */
export function isStillWaiting(error: unknown): boolean {
  return error instanceof BusError && error.cause === STILL_WAITING;
}

const forbidden: readonly string[] = ["EACCES", "EPERM", "EROFS"];

/** A function's driver, and the only driver it may have; null for none. */
export interface DriverState {
  readonly driver: string | null;
  readonly driverOverride: string | null;
}

export function driverState(of: PciFunction): DriverState {
  return { driver: of.driver ?? null, driverOverride: of.driverOverride ?? null };
}

/** Throws BusError if this process may not write this file of the function. `what` completes "can't ...". */
export function requireRights(
  of: PciFunction,
  file: "driver_override" | "driver/unbind" | "remove" | "sriov_numvfs",
  what: string,
): void {
  closeSync(openAttribute(join(of.path, file), what));
}

/** Throws BusError if this process may not let the kernel choose a driver. `what` completes "can't ...". */
export function requireProbe(what: string): void {
  closeSync(openAttribute(PROBE, what));
}

/** Throws BusError if no PCI driver of this name is loaded. */
export function requireDriver(name: string): void {
  if (!/^[\w-]+$/.test(name)) throw new BusError(`"${name}" is not a driver name`);
  if (!existsSync(join(DRIVERS, name)))
    throw new BusError(
      moduleState(name) === "absent"
        ? `this kernel has no driver ${name}, and no module of that name to load: if the name is right, ${FULL_KERNEL}`
        : `the driver ${name} is not loaded: sudo modprobe ${name}, then try again`,
    );
}

/** Sets the only driver that may bind a function; null allows any that knows it. Throws BusError. */
export function setOverride(of: PciFunction, driver: string | null): void {
  // An empty line clears it.
  writeAttribute(
    join(of.path, "driver_override"),
    `${driver ?? ""}\n`,
    `set driver_override of ${of.address}`,
  );
}

/**
 * Unbinds a function from its driver, if it has one. Throws BusError, also if the driver does not release it
 * in time.
 */
export async function unbind(address: string): Promise<void> {
  const of = readFunction(address);
  const { path, driver } = of;
  if (driver === undefined) return;
  await detach(of, join(path, "driver/unbind"), address, `unbind ${address} from ${driver}`);
  const after = readFunction(address).driver;
  if (after !== undefined) throw new BusError(`${address} is still bound to ${after} after the unbind`);
}

/** Removes a function from the bus until the next rescan. Throws BusError. */
export async function remove(address: string): Promise<void> {
  const of = readFunction(address);
  const { path } = of;
  await detach(of, join(path, "remove"), "1", `remove ${address}`);
  if (existsSync(path)) throw new BusError(`${address} is still present after its removal`);
}

/**
 * Binds a function to one driver by driver_override, and checks that this driver has it. Throws BusError; the
 * override then stays set, and the function has no driver. Does not write drivers_probe, which root keeps to itself
 * where a group may bind the function.
 */
export async function attach(address: string, driver: string): Promise<void> {
  requireDriver(driver);
  setOverride(readFunction(address), driver);
  await unbind(address);
  bindTo(address, driver);
}

/**
 * Gives a function back to the driver it had. The kernel decides whether they match: a function is never
 * forced on a driver that does not know it. Throws BusError.
 */
export async function restore(address: string, had: DriverState): Promise<void> {
  const now = readFunction(address);
  if (had.driver !== null) requireDriver(had.driver);
  setOverride(now, had.driverOverride);
  if (had.driver === (now.driver ?? null)) return;
  await unbind(address);
  if (had.driver === null) return;
  probe(address);
  const got = readFunction(address).driver;
  if (got === had.driver) return;
  if (got !== undefined) await unbind(address);
  bindTo(address, had.driver);
}

/** Lets the kernel choose a driver for a function that has none. Throws BusError; finding none is not an error. */
export function probe(address: string): void {
  try {
    writeAttribute(PROBE, address, `find a driver for ${address}`);
  } catch (error) {
    // If a driver tried and failed, only some kernels fail the write.
    if (!(error instanceof BusError) || forbidden.includes(codeOf(error.cause))) throw error;
  }
}

/** Tells one driver to take a function. Unlike drivers_probe, this reports why it does not. */
function bindTo(address: string, driver: string): void {
  try {
    writeAttribute(join(DRIVERS, driver, "bind"), address, `bind ${address} to ${driver}`);
  } catch (error) {
    if (readFunction(address).driver === driver) return;
    if (!(error instanceof BusError)) throw error;
    const why = refusal(address, driver);
    throw new BusError(`${error.message}: ${why.text}`, {
      cause: error,
      remedies: [...remediesOf(error), ...why.remedies],
    });
  }
  const after = readFunction(address).driver;
  if (after !== driver)
    throw new BusError(
      `the kernel reported success, but ${address} is bound to ${after ?? "no driver"}, not to ${driver}`,
    );
}

/** The usual reason why a driver refuses a function. */
function refusal(address: string, driver: string): Advice {
  const of = readFunction(address);
  if (isVfioDriver(driver) && of.iommuGroup === undefined)
    return {
      text: "it is in no IOMMU group, so no IOMMU of this machine isolates it: dmesg | tail may say why",
      remedies: [
        { verb: "bind", args: [address, "--driver", "uio_pci_generic"], does: "works without an IOMMU" },
      ],
    };
  if (driver === "uio_pci_generic" && of.irq === 0)
    return {
      text: "it has no legacy interrupt, which uio_pci_generic needs; vfio-pci does not",
      remedies: [],
    };
  return {
    text: "the driver does not know this device, or failed to start it: dmesg | tail may say why",
    remedies: [],
  };
}

/**
 * Makes the kernel take a function, or its virtual ones, from its driver, by a write in a child process: while a process has one
 * open through VFIO, the write does not return, and its writer can't be killed. Whether the kernel did it is not checked. Throws
 * BusError if it still waits.
 */
export async function detach(
  of: PciFunction,
  path: string,
  value: string,
  what: string,
  remedies: readonly Remedy[] = [
    { verb: "release", args: [of.address], does: "then gives it back" },
    { verb: "rescan", args: ["--bus", "all"], does: "finds it if it was removed" },
  ],
): Promise<void> {
  // Found first: while the kernel waits, the function and its virtual functions can't be inspected.
  const uses = findUses(of);
  const fd = openAttribute(path, what);
  try {
    const child = Bun.spawn(["/bin/sh", "-c", 'printf %s "$0"', value], { stdio: ["ignore", fd, "ignore"] });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(resolve, RELEASE_MS, "late");
    });
    const ended = await Promise.race([child.exited, late]);
    clearTimeout(timer);
    if (ended !== "late") return;
    child.unref();
  } finally {
    closeSync(fd);
  }
  throw new BusError(
    `can't ${what}: the kernel is still waiting after ${RELEASE_MS / 1000} s for its users to release it${uses.length > 0 ? `: ${uses.join("; ")}` : ""}; end them first`,
    { cause: STILL_WAITING, remedies },
  );
}
