/** Removes devices from the bus and rescans for them, as an FPGA needs when it loads another image. */
import { existsSync, readdirSync } from "node:fs";
import { RESCAN_MS } from "../limits.ts";
import { writeAttribute } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { removeVirtualFunctions } from "./dependents.ts";
import { listFunctions, type PciFunction, readFunction } from "./functions.ts";
import { isForUserSpace } from "./group.ts";
import { findUsesOf } from "./in-use.ts";
import { attach, driverState, isStillWaiting, remove, requireRights, restore } from "./kernel-driver.ts";
import { isSilent, readAnswer } from "./presence.ts";

/** Options for `rescan`. */
export interface RescanOptions {
  /** Functions to remove, each with all others of its device. */
  readonly addresses?: readonly string[];
  /** The bus to rescan, such as 0000:01, or "all". By default the buses that the devices were on. */
  readonly bus?: string | undefined;
  /** Even if they are in use. */
  readonly force?: boolean;
  /** How long to wait for removed devices to come back. */
  readonly timeoutMs?: number;
  /** Runs while the devices are off the bus. The rescan happens even if it throws. */
  readonly meanwhile?: (removed: readonly PciFunction[]) => Promise<void>;
}

/**
 * What became of a function: "back" as it was, "changed" (other ids or another class), "silent" (present, but
 * reading all ones), "gone", or "new".
 */
export type Fate = "back" | "changed" | "silent" | "gone" | "new";

/** One function before and after a rescan. */
export interface RescanOutcome {
  readonly address: string;
  readonly fate: Fate;
  readonly before: PciFunction | undefined;
  readonly after: PciFunction | undefined;
  /** Why it did not get its driver back. */
  readonly failure: Error | undefined;
}

/** Time between two rescans. */
const LOOK_AGAIN_MS = 250;

/**
 * Removes devices with all their functions and everything behind them, then rescans for them. A function gets
 * its driver back if driver_override named that driver, or if it is a driver for user space. Otherwise an
 * unchanged function gets back the driver it had, or none; for a changed one the kernel chooses. Virtual
 * functions vanish with their physical function and do not come back. Returns the removed and the new
 * functions, by address. Throws BusError: without root, for a virtual function, or if one is in use. Throws
 * what `meanwhile` threw, once everything is back.
 */
export async function rescan(options: RescanOptions): Promise<RescanOutcome[]> {
  const before = listFunctions();
  const chosen = (options.addresses ?? []).map((address) => readFunction(address));
  for (const of of chosen) refuseVirtual(of);
  const removed = before.filter((candidate) => chosen.some((of) => isTakenWith(candidate, of)));
  const files = rescanFiles(options.bus, chosen);
  // Virtual functions count as uses of their physical function. They can't be removed alone, and no rescan
  // finds them.
  const own = removed.filter(({ physicalFunction }) => physicalFunction === undefined);
  for (const of of own) requireRights(of, "remove", `remove ${of.address}`);
  const uses = findUsesOf(own);
  if (uses.length > 0 && !options.force)
    throw new BusError(`not removed, since it is in use:\n${uses.join("\n")}`, {
      remedies: [{ verb: "rescan", args: words(options), does: "removes it anyway" }],
    });

  let failure: unknown;
  try {
    for (const of of own) if (existsSync(of.path)) await remove(of.address);
    await options.meanwhile?.(removed);
  } catch (error) {
    // A rescan would wait as well.
    if (isStillWaiting(error)) throw error;
    failure = error;
  }
  await lookFor(own, files, options.timeoutMs ?? RESCAN_MS);
  const outcomes: RescanOutcome[] = [];
  for (const of of removed) outcomes.push(await giveBack(of));
  const known = new Set(before.map((of) => of.address));
  const found = listFunctions().filter((of) => !known.has(of.address));
  if (failure !== undefined) throw failure;
  return [
    ...outcomes,
    ...found.map((after) => ({
      address: after.address,
      fate: "new" as const,
      before: undefined,
      after,
      failure: undefined,
    })),
  ].sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** The command line that does this by force. */
function words({ addresses = [], bus }: RescanOptions): string[] {
  return [...addresses, ...(bus === undefined ? [] : ["--bus", bus]), "--force"];
}

function refuseVirtual({ address, physicalFunction }: PciFunction): void {
  if (physicalFunction === undefined) return;
  throw new BusError(
    `${address} is a virtual function, which can't be removed alone: ${removeVirtualFunctions(physicalFunction)} removes it with the others, and writing a number instead of 0 creates that many`,
    { remedies: [{ verb: "rescan", args: [physicalFunction], does: "removes the device itself" }] },
  );
}

/**
 * Whether removing `of` removes the candidate: it is of the same device, behind it, or one of its virtual
 * functions.
 */
function isTakenWith(candidate: PciFunction, of: PciFunction): boolean {
  const device = (path: string) => path.slice(0, path.lastIndexOf(".") + 1);
  return (
    candidate.path.startsWith(device(of.path)) ||
    candidate.physicalFunction?.startsWith(device(of.address)) === true
  );
}

/** The sysfs files that trigger a rescan. Throws BusError if there is no such bus. */
function rescanFiles(bus: string | undefined, chosen: readonly PciFunction[]): string[] {
  if (bus === "all") return [ALL];
  const names =
    bus === undefined
      ? chosen.map(({ address }) => address.slice(0, address.lastIndexOf(":")))
      : [busName(bus)];
  return [...new Set(names)].map((name) => `/sys/class/pci_bus/${name}/rescan`);
}

const ALL = "/sys/bus/pci/rescan";

function busName(text: string): string {
  const parts = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2})$/i.exec(text);
  if (!parts)
    throw new BusError(`"${text}" is not a PCI bus; a bus looks like 0000:01, or 01; all means every bus`);
  const name = `${parts[1] ?? "0000"}:${parts[2]}`.toLowerCase();
  if (existsSync(`/sys/class/pci_bus/${name}`)) return name;
  const there = readdirSync("/sys/class/pci_bus").sort();
  throw new BusError(`there is no PCI bus ${name}; there are ${there.join(", ")}, and all means every bus`);
}

/** Makes the kernel rescan at least once, until everything is back or the time is up. */
async function lookFor(
  removed: readonly PciFunction[],
  files: readonly string[],
  timeoutMs: number,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    // A bus disappears with the bridge that leads to it.
    for (const file of files) writeAttribute(existsSync(file) ? file : ALL, "1", "look for devices");
    if (removed.every((of) => existsSync(of.path)) || performance.now() > deadlineMs) return;
    await Bun.sleep(LOOK_AGAIN_MS);
  }
}

async function giveBack(before: PciFunction): Promise<RescanOutcome> {
  const { address } = before;
  let failure: Error | undefined;
  if (!existsSync(before.path)) return { address, fate: "gone", before, after: undefined, failure };
  const found = readFunction(address);
  const same = identity(found) === identity(before);
  const had = driverState(before);
  try {
    if (had.driverOverride !== null && had.driverOverride === had.driver) await attach(address, had.driver);
    else if (isForUserSpace(before.driver)) await attach(address, before.driver!);
    else if (same) await restore(address, had);
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
  }
  const after = readFunction(address);
  const answer = readAnswer(after);
  const silent = answer !== undefined && isSilent(answer);
  return { address, fate: silent ? "silent" : same ? "back" : "changed", before, after, failure };
}

function identity(of: PciFunction): string {
  return [of.vendor, of.device, of.subsystemVendor, of.subsystem, of.classCode].join();
}
