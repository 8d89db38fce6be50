/**
 * Lasting use without root: files that give a group the right to bind some functions to VFIO, to open and to release them, also
 * after a reboot. The right to write the `unbind` of a kernel's driver is the right to take every device of that driver, so the
 * group gets VFIO's alone: a function that another driver has is bound by root, or at boot.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import type { Advice, Remedy } from "../../remedy/remedy.ts";
import { readAttribute } from "../bus/attribute.ts";
import { bind, DEFAULT_DRIVER } from "../bus/binding.ts";
import { GROUP_FOLDER } from "../bus/binding-record.ts";
import { BusError } from "../bus/bus-error.ts";
import { FUNCTIONS, type PciFunction, readFunction } from "../bus/functions.ts";
import { isVfioDriver, judgeGroup } from "../bus/group.ts";
import { findUsesOf } from "../bus/in-use.ts";
import { listIommus } from "../bus/iommu.ts";
import { FULL_KERNEL, moduleState } from "../bus/module.ts";
import { readSetup, removeFiles, requireOwn, type SetupFile, setupFiles, writeFiles } from "./files.ts";
import { groupCommand, groupNumber, runProgram, udevRuns } from "./program.ts";
import { giveFolder, giveRight, groupModes, rightsOf, takeRight } from "./rights.ts";
import type { Setup } from "./setup-record.ts";

const HUGEPAGES = "/proc/sys/vm/nr_hugepages";

export interface SetupOptions {
  readonly group: string;
  /** In MiB, for each process. */
  readonly memlockMib: number;
  readonly hugepages?: number | undefined;
  readonly bindAtBoot?: boolean;
}

/** Something that is done besides writing files: a shell's command that does the same, or one of this toolkit's. */
export interface SetupStep {
  readonly words: string | Remedy;
  /** May return a promise. */
  act(): unknown;
}

export interface SetupPlan {
  readonly setup: Setup;
  readonly files: readonly SetupFile[];
  /** In their order, after the files. */
  readonly steps: readonly SetupStep[];
  /** What else is to be known or done. */
  readonly notes: readonly Advice[];
}

/** Whether this can be a group's name: useradd(8). */
export const isGroupName = (name: string): boolean => /^[a-z_][a-z0-9_-]{0,31}$/.test(name);

/** Plans a set-up for functions that are present. Changes nothing. Throws BusError if they can't be used without root. */
export async function planSetup(addresses: readonly string[], options: SetupOptions): Promise<SetupPlan> {
  const { group, memlockMib, hugepages, bindAtBoot = false } = options;
  if (!isGroupName(group)) throw new BusError(`"${group}" is not a group's name`);
  const functions = [...new Set(addresses.map((address) => readFunction(address).address))].map((address) =>
    readFunction(address),
  );
  for (const of of functions) requireUsable(of);
  if (bindAtBoot) refuseInUse(functions);
  if (moduleState(DEFAULT_DRIVER) === "absent")
    throw new BusError(`this kernel does not have ${DEFAULT_DRIVER}: ${FULL_KERNEL}`);
  const earlier = readSetup();
  const groupExists = (await groupNumber(group)) !== undefined;
  const setup: Setup = {
    functions: functions.map(({ address, vendor, device }) => ({ address, vendor, device })),
    group,
    memlockMib,
    hugepages: hugepages ?? null,
    bindAtBoot,
    before: {
      // A group that an earlier set-up added is not there to stay.
      groupExisted: groupExists && (earlier?.group !== group || earlier.before.groupExisted),
      hugepages: hugepages === undefined ? null : (earlier?.before.hugepages ?? reservedPages()),
    },
  };
  const files = setupFiles(setup);
  return {
    setup,
    files,
    steps: stepsOf(setup, files, earlier, groupExists),
    notes: notesOn(functions, setup),
  };
}

/** Throws BusError if VFIO can't have the function for a user other than root. */
function requireUsable({ address, isBridge, iommuGroup }: PciFunction): void {
  if (isBridge) throw new BusError(`${address} is a bridge, which ${DEFAULT_DRIVER} does not support`);
  if (listIommus().length === 0 || iommuGroup?.noiommu)
    throw new BusError(
      `${address} can't be used without root: the IOMMU is off or absent. Without one, uio_pci_generic and VFIO's noiommu mode let a device write to all of memory, so the kernel keeps them for root (CAP_SYS_RAWIO)`,
      { remedies: [{ verb: "doctor", args: [], does: "shows how to turn an IOMMU on" }] },
    );
}

/** Throws BusError if binding at boot would take what the machine works with, such as its disk. */
function refuseInUse(functions: readonly PciFunction[]): void {
  const uses = findUsesOf(functions.filter(({ driver }) => !isVfioDriver(driver)));
  if (uses.length > 0)
    throw new BusError(
      `not to be bound at boot, because ${uses.length > 1 ? "these are" : "this is"} in use:\n${uses.join("\n")}`,
    );
}

function stepsOf(
  setup: Setup,
  files: readonly SetupFile[],
  earlier: Setup | undefined,
  groupExists: boolean,
): SetupStep[] {
  const { group, hugepages, functions } = setup;
  const program = (...command: string[]): SetupStep => ({
    words: command.join(" "),
    act: () => runProgram(command),
  });
  return [
    ...(groupExists ? [] : [program(...groupCommand("add", group))]),
    ...(earlier === undefined || JSON.stringify(earlier) === JSON.stringify(setup)
      ? []
      : [takeBack(earlier, setup)]),
    { words: `write ${files.map(({ path }) => path).join(", ")}`, act: () => writeFiles(files) },
    ...(udevRuns() ? [program("udevadm", "control", "--reload")] : []),
    // After the rules, which are for what it makes, too.
    ...(moduleState(DEFAULT_DRIVER) === "loaded" ? [] : [program("modprobe", DEFAULT_DRIVER)]),
    {
      words: `install -d -m ${groupModes.folder} -g ${group} ${GROUP_FOLDER}`,
      act: async () => giveFolder(await requireGroup(group)),
    },
    ...rightsOf(setup).map((right) => ({
      words: `chgrp ${group} ${right.path} && chmod ${right.mode} ${right.path}`,
      act: async () => giveRight(right, await requireGroup(group)),
    })),
    ...(setup.bindAtBoot
      ? functions.map(({ address }) => ({
          words: { verb: "bind", args: [address] },
          async act() {
            await bind(address);
            // Its node has appeared, which udev may not have seen.
            for (const right of rightsOf(setup)) giveRight(right, await requireGroup(group));
          },
        }))
      : []),
    // Last, because it may fail when memory is fragmented.
    ...(hugepages === null ? [] : [reserve(hugepages)]),
  ];
}

const reservedPages = () => Number(readAttribute(HUGEPAGES) ?? 0);

function reserve(pages: number): SetupStep {
  return {
    words: `echo ${pages} > ${HUGEPAGES}`,
    act() {
      writeFileSync(HUGEPAGES, `${pages}\n`);
      const got = reservedPages();
      if (got < pages)
        throw new BusError(
          `only ${got} of ${pages} huge pages could be reserved now, because memory is full or fragmented; all else is set up, and the next boot reserves them early`,
        );
    },
  };
}

async function requireGroup(name: string): Promise<number> {
  const number = await groupNumber(name);
  if (number === undefined) throw new BusError(`there is no group ${name}`);
  return number;
}

/** An earlier set-up's rights end, but not the group that the new one has, too. */
function takeBack(earlier: Setup, next: Setup): SetupStep {
  return {
    words: `take back what the set-up of ${earlier.functions.map(({ address }) => address).join(", ")} gave`,
    async act() {
      for (const right of rightsOf(earlier)) takeRight(right);
      if (next.hugepages === null) putPagesBack(earlier);
      if (next.group !== earlier.group) await deleteGroup(earlier);
    },
  };
}

function notesOn(functions: readonly PciFunction[], { group, bindAtBoot }: Setup): Advice[] {
  const names = functions.map(({ address }) => address);
  const kept = functions.filter(({ driver }) => driver !== undefined && !isVfioDriver(driver));
  const blocking = functions
    .flatMap(({ iommuGroup }) => (iommuGroup ? judgeGroup(iommuGroup) : []))
    .filter(({ viable, function: { address } }) => !viable && !names.includes(address))
    .map(({ function: { address, driver } }) => `${address} (${driver})`);
  const atBoot: Remedy = { verb: "setup", args: [...names, "--bind-at-boot"] };
  return [
    ...(bindAtBoot
      ? []
      : kept.map(({ address, driver }) => ({
          text: `${driver} has ${address}, and the group can't take it from there: who may unbind one function of ${driver} may unbind all`,
          remedies: [{ ...atBoot, does: `gives it to ${DEFAULT_DRIVER} now and at each boot` }],
        }))),
    ...(blocking.length > 0
      ? [
          {
            text: `${[...new Set(blocking)].join(", ")}: in the same IOMMU group, which can't be opened while that driver has it`,
            remedies: [],
          },
        ]
      : []),
    ...(udevRuns()
      ? []
      : [
          {
            text: "udev does not run here: what is there now gets its rights, but the node that a bind makes stays root's alone, and nothing lasts beyond a reboot",
            remedies: [],
          },
        ]),
    {
      text: `members of ${group} have these rights: sudo usermod -a -G ${group} USER, and that user logs in again, which also sets the memlock limit`,
      remedies: [],
    },
  ];
}

/** Writes the files and puts them into force, as planned. Throws BusError. */
export async function writeSetup({ steps }: SetupPlan): Promise<void> {
  requireRoot("set this up");
  requireOwn();
  for (const { act } of steps) await act();
}

/** What a removal did. */
export interface SetupRemoval {
  /** Paths of the files that were removed; empty if there was no set-up. */
  readonly removed: readonly string[];
  readonly notes: readonly Advice[];
}

/** Removes the set-up's files and takes its rights back. Functions that are bound stay bound. Throws BusError. */
export async function removeSetup(): Promise<SetupRemoval> {
  requireRoot("remove the set-up");
  const setup = readSetup();
  const removed = removeFiles();
  // First the rules: udev would carry them out again for what still happens.
  if (removed.length > 0 && udevRuns()) {
    await runProgram(["udevadm", "control", "--reload"]);
    await runProgram(["udevadm", "settle"]);
  }
  if (setup === undefined) return { removed, notes: [] };
  for (const right of rightsOf(setup)) takeRight(right);
  rmSync(GROUP_FOLDER, { recursive: true, force: true });
  putPagesBack(setup);
  await deleteGroup(setup);
  const bound = setup.functions
    .filter(({ address }) => existsSync(`${FUNCTIONS}/${address}`))
    .map(({ address }) => readFunction(address))
    .filter(({ driver }) => isVfioDriver(driver));
  return {
    removed,
    notes: bound.map(({ address, driver }) => ({
      text: `${address} is still bound to ${driver}`,
      remedies: [{ verb: "release", args: [address], does: "gives it back" }],
    })),
  };
}

function putPagesBack({ hugepages, before }: Setup): void {
  // Somebody may have reserved others since.
  if (hugepages === null || before.hugepages === null) return;
  // Fewer than wanted if memory was full.
  const now = reservedPages();
  if (now <= hugepages && now > before.hugepages) writeFileSync(HUGEPAGES, `${before.hugepages}\n`);
}

async function deleteGroup({ group, before }: Setup): Promise<void> {
  if (!before.groupExisted && (await groupNumber(group)) !== undefined)
    await runProgram(groupCommand("delete", group));
}

function requireRoot(what: string): void {
  if (process.geteuid?.() !== 0) throw new BusError(`can't ${what}: this needs root: run it with sudo`);
}
