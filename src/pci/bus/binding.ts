/** Binds functions to a driver for user space, and releases them to the driver they had. */
import { remediesOf } from "../../remedy/remedy.ts";
import { awaitNode } from "./await-node.ts";
import {
  type BindingRecord,
  isCurrent,
  readRecord,
  recordedAddresses,
  removeRecord,
  writeRecord,
} from "./binding-record.ts";
import { BusError } from "./bus-error.ts";
import { listAddresses, type PciFunction, readFunction } from "./functions.ts";
import { type GroupMember, isForUserSpace, isVfioDriver, judgeGroup } from "./group.ts";
import { findUses, findUsesBehind } from "./in-use.ts";
import { isBeyondVfio, listIommus, noiommuMode, setNoiommuMode } from "./iommu.ts";
import {
  attach,
  type DriverState,
  driverState,
  isStillWaiting,
  probe,
  requireDriver,
  requireProbe,
  requireRights,
  restore,
  setOverride,
  unbind,
} from "./kernel-driver.ts";

/** The driver that a function is bound to where nobody says another. */
export const DEFAULT_DRIVER = "vfio-pci";

/** Options for `bind` and `planBind`. */
export interface BindOptions {
  /** Also bind the members of its IOMMU group that VFIO does not tolerate as they are. */
  readonly group?: boolean;
  /** Even if it is in use. */
  readonly force?: boolean;
  /**
   * By VFIO without an IOMMU: the device can then write to any memory of the machine, and the kernel is tainted once it is opened.
   * Turns VFIO's noiommu mode on, until `release`.
   */
  readonly noiommu?: boolean;
}

/** A change of one function's driver, made or planned. */
export interface DriverChange {
  readonly address: string;
  /** null for no driver. */
  readonly from: string | null;
  readonly to: string | null;
}

/** What `bind` does: the drivers that change, and what they concern. */
export interface BindPlan {
  /** The whole IOMMU group; empty if there is none. */
  readonly members: readonly GroupMember[];
  readonly changes: readonly DriverChange[];
  /** Current uses, as sentences. If there are any, {@link bind} requires `force`. */
  readonly uses: readonly string[];
}

/** Plans what {@link bind} would do. Throws BusError if the function can't be bound. */
export function planBind(
  address: string,
  driver = DEFAULT_DRIVER,
  { group = false, noiommu = false }: Pick<BindOptions, "group" | "noiommu"> = {},
): BindPlan {
  const of = readFunction(address);
  if (of.isBridge)
    throw new BusError(
      `${of.address} is a bridge, which ${driver} does not support: bind the functions behind it; the bridge may stay in their group as it is`,
    );
  if (noiommu) checkNoiommu(of, driver);
  else if (isVfioDriver(driver) && isBeyondVfio(of))
    throw new BusError(
      `${of.address} can't be bound to ${driver}: it is in no IOMMU group, because the IOMMU is off or absent`,
      {
        remedies: [
          { verb: "doctor", args: [], does: "shows how to turn it on" },
          { verb: "bind", args: [of.address, "--driver", "uio_pci_generic"], does: "works without an IOMMU" },
        ],
      },
    );
  requireDriver(driver);
  const members = of.iommuGroup ? judgeGroup(of.iommuGroup) : [];
  const others = members.filter((member) => !member.viable && member.function.address !== of.address);
  const targets = [of, ...(group ? others.map((member) => member.function) : [])].filter(
    (target) => target.driver !== driver,
  );
  const addresses = targets.map((target) => target.address);
  return {
    members,
    changes: targets.map((target) => ({
      address: target.address,
      from: target.driver ?? null,
      // No driver for user space takes a bridge. Without a driver it is fine in the group.
      to: target.isBridge ? null : driver,
    })),
    uses: targets.flatMap((target) =>
      [...findUses(target), ...findUsesBehind(target, addresses)].map((use) => `${target.address}: ${use}`),
    ),
  };
}

/** Throws BusError if VFIO can't have the function without an IOMMU. */
function checkNoiommu({ address, iommuGroup }: PciFunction, driver: string): void {
  const refused = (why: string) => new BusError(`${address} can't be bound in noiommu mode: ${why}`);
  if (!isVfioDriver(driver)) throw refused(`that is a mode of VFIO, not of ${driver}`);
  if (listIommus().length > 0 || (iommuGroup && !iommuGroup.noiommu))
    throw refused("this machine has an IOMMU, so VFIO works without that mode");
  if (noiommuMode() === undefined)
    throw new BusError(
      `${address} can't be bound in noiommu mode: this kernel was built without it (CONFIG_VFIO_NOIOMMU), or vfio is not loaded: modprobe vfio-pci`,
      {
        remedies: [
          { verb: "bind", args: [address, "--driver", "uio_pci_generic"], does: "works without it" },
        ],
      },
    );
}

/**
 * Plans what {@link bindAll} would do, in the order given. A change that several plans need is in the first of them only. Throws
 * BusError if one of the functions can't be bound.
 */
export function planBindAll(
  addresses: readonly string[],
  driver = DEFAULT_DRIVER,
  options: Pick<BindOptions, "group" | "noiommu"> = {},
): BindPlan[] {
  const planned = new Set<string>();
  return addresses.map((address) => {
    const plan = planBind(address, driver, options);
    const changes = plan.changes.filter((change) => !planned.has(change.address));
    for (const change of changes) planned.add(change.address);
    const uses = plan.uses.filter((use) => changes.some((change) => use.startsWith(`${change.address}: `)));
    return { ...plan, changes, uses };
  });
}

/**
 * Binds a function to a driver for user space and records the driver it had. On failure it puts everything
 * back. Returns what it did, and the group afterwards. Throws BusError: without root, without the driver, if
 * the function is in use, or if the driver refuses it.
 */
export async function bind(
  address: string,
  driver = DEFAULT_DRIVER,
  options: BindOptions = {},
): Promise<BindPlan> {
  const [plan] = await bindAll([address], driver, options);
  return plan!;
}

/**
 * The same for several functions, one after another, once all are known to be free for it. On failure of one it puts all back.
 * Returns what it did for each, in the order given. Throws BusError.
 */
export async function bindAll(
  addresses: readonly string[],
  driver = DEFAULT_DRIVER,
  options: BindOptions = {},
): Promise<BindPlan[]> {
  const plans = planBindAll(addresses, driver, options);
  const changes = plans.flatMap((plan) => plan.changes);
  const uses = plans.flatMap((plan) => plan.uses);
  if (uses.length > 0 && !options.force) {
    const what = addresses.length > 1 ? `${addresses.length} functions` : "it";
    throw new BusError(
      `not bound, since ${addresses.length > 1 ? "one is" : "it is"} in use:\n${uses.join("\n")}`,
      {
        remedies: [
          { verb: "bind", args: forcedWords(addresses, driver, options), does: `binds ${what} anyway` },
        ],
      },
    );
  }
  for (const { address } of changes)
    requireRights(readFunction(address), "driver_override", `bind ${address}`);
  const done: { address: string; had: DriverState; record: BindingRecord | undefined }[] = [];
  const turnsOn = options.noiommu === true && noiommuMode() === false && changes.length > 0;
  const noiommu = turnsOn || (options.noiommu === true && isNoiommuOurs());
  try {
    if (turnsOn) setNoiommuMode(true);
    for (const change of changes) {
      const of = readFunction(change.address);
      const record = readRecord(of.address);
      const had = driverState(of);
      // A second bind must not forget what the first one replaced.
      const origin = record !== undefined && isCurrent(record, had) ? record : had;
      writeRecord(of.address, {
        driver: origin.driver,
        driverOverride: origin.driverOverride,
        boundTo: change.to,
        ...((noiommu || record?.noiommu) && { noiommu: true }),
      });
      done.push({ address: of.address, had, record });
      if (change.to === null) await unbind(of.address);
      else await attach(of.address, change.to);
    }
  } catch (error) {
    const failure = await undo(done, error);
    if (turnsOn) leaveNoiommu();
    throw failure;
  }
  if (isVfioDriver(driver)) for (const address of addresses) await awaitNode(address);
  return plans.map((plan, i) => {
    const { iommuGroup } = readFunction(addresses[i]!);
    return { ...plan, members: iommuGroup ? judgeGroup(iommuGroup) : [] };
  });
}

/** Whether {@link bind} turned noiommu mode on, and a function needs it still. */
const isNoiommuOurs = () => recordedAddresses().some(wantsNoiommu);

function wantsNoiommu(address: string): boolean {
  try {
    return readRecord(address)?.noiommu === true;
  } catch (error) {
    if (error instanceof BusError) return false; // a broken record of another function
    throw error;
  }
}

/** Turns noiommu mode off again, unless a function still needs it. */
function leaveNoiommu(): void {
  if (isNoiommuOurs() || noiommuMode() !== true) return;
  try {
    setNoiommuMode(false);
  } catch (error) {
    if (!(error instanceof BusError)) throw error; // what was asked for is done, or has failed for a reason of its own
  }
}

/** The command line that does this by force. */
function forcedWords(
  addresses: readonly string[],
  driver: string,
  { group, noiommu }: BindOptions,
): string[] {
  return [
    ...addresses,
    ...(driver === DEFAULT_DRIVER ? [] : ["--driver", driver]),
    ...(group ? ["--group"] : []),
    ...(noiommu ? ["--noiommu"] : []),
    "--force",
  ];
}

async function undo(
  done: readonly { address: string; had: DriverState; record: BindingRecord | undefined }[],
  error: unknown,
): Promise<unknown> {
  const failures: Error[] = [];
  for (const { address, had, record } of done.toReversed()) {
    // The kernel is still unbinding the last one, and release needs its record.
    if (isStillWaiting(error) && address === done.at(-1)?.address) continue;
    try {
      await restore(address, had);
      if (record) writeRecord(address, record);
      else removeRecord(address);
    } catch (failure) {
      failures.push(failure instanceof Error ? failure : new Error(String(failure)));
    }
  }
  if (failures.length === 0) return withPutBack(error, done);
  if (!(error instanceof Error)) return error;
  const reasons = failures.map(({ message }) => message).join("; ");
  return new BusError(`${error.message}\nand it could not be put back: ${reasons}`, {
    cause: error,
    remedies: [error, ...failures].flatMap(remediesOf),
  });
}

/** An error that also names the functions which were bound before the one that failed, and are back with their drivers. */
function withPutBack(error: unknown, done: readonly { address: string }[]): unknown {
  const others = done.slice(0, -1).map(({ address }) => address);
  if (others.length === 0 || !(error instanceof BusError)) return error;
  return new BusError(`${error.message}\nput back as before: ${others.join(", ")}`, {
    cause: error.cause,
    remedies: error.remedies,
  });
}

/**
 * Gives a function back to the driver it had before {@link bind}, or to none if it had none. Without a record
 * the kernel chooses, unless a driver of its choice already has the function. Throws BusError, also if the
 * function is in use.
 */
export async function release(
  address: string,
  { force = false }: Pick<BindOptions, "force"> = {},
): Promise<DriverChange> {
  const of = readFunction(address);
  const what = `release ${of.address}`;
  requireRights(of, "driver_override", what);
  const record = readRecord(of.address);
  const from = of.driver ?? null;
  const recorded = record !== undefined && (isCurrent(record, driverState(of)) || of.driver === undefined);
  requireRightsFor(of, recorded ? record.driver : undefined, what);
  if (recorded || isForUserSpace(of.driver)) {
    const uses = force ? [] : findUses(of);
    if (uses.length > 0)
      throw new BusError(`${of.address} not released, since it is in use:\n${uses.join("\n")}`, {
        remedies: [{ verb: "release", args: [of.address, "--force"], does: "releases it anyway" }],
      });
  }
  if (recorded) {
    await restore(of.address, record);
  } else {
    if (of.driverOverride !== undefined) setOverride(of, null);
    if (isForUserSpace(of.driver)) await unbind(of.address);
    if (readFunction(of.address).driver === undefined) probe(of.address);
  }
  removeRecord(of.address);
  if (record?.noiommu) leaveNoiommu();
  return { address: of.address, from, to: readFunction(of.address).driver ?? null };
}

/**
 * Throws BusError if this process may not do what a release does, before any of it is done: a user other than root may have a
 * part of the rights. `had` is the driver to go back to, null for none, undefined for the kernel's choice.
 */
function requireRightsFor(of: PciFunction, had: string | null | undefined, what: string): void {
  const { driver } = of;
  const goes = had === undefined ? isForUserSpace(driver) : had !== (driver ?? null);
  if (goes && driver !== undefined) requireRights(of, "driver/unbind", what);
  const probes = had === undefined ? driver === undefined || goes : had !== null && goes;
  if (probes) requireProbe(what);
}

/** Of a function that is gone. What a member of the group put in a record's place must not stop the release of others. */
function dropRecord(address: string): void {
  try {
    removeRecord(address);
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
  }
}

/**
 * Addresses that {@link bind} bound and {@link release} has not released. Drops the records of functions that
 * are gone.
 */
export function boundAddresses(): string[] {
  const present = new Set(listAddresses());
  return recordedAddresses().filter((address) => {
    if (present.has(address)) return true;
    const noiommu = wantsNoiommu(address);
    dropRecord(address);
    if (noiommu) leaveNoiommu();
    return false;
  });
}
