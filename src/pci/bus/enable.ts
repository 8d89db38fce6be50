/** Turns a function's memory decode, I/O decode and bus mastering on and off. */
import { join } from "node:path";
import { Command, Config } from "../config-offsets.ts";
import { readAttribute, writeAttribute } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { openConfigFile } from "./config-file.ts";
import { type PciFunction, ResourceFlag, readFunction } from "./functions.ts";
import { isForUserSpace } from "./group.ts";
import { findUses, findUsesBehind } from "./in-use.ts";
import { isSilent } from "./presence.ts";

/** Bits of the Command register, PCIe 6.0 section 7.5.1.1.3. */
export interface CommandBits {
  readonly io: boolean;
  readonly memory: boolean;
  readonly busMaster: boolean;
}

const NONE: CommandBits = { io: false, memory: false, busMaster: false };
const ALL: CommandBits = { io: true, memory: true, busMaster: true };

/** The Command register before and after a change. */
export interface CommandChange {
  /** The whole register, 16 bits. */
  readonly before: number;
  readonly after: number;
}

function maskOf({ io, memory, busMaster }: CommandBits): number {
  return (io ? Command.IO : 0) | (memory ? Command.MEMORY : 0) | (busMaster ? Command.BUS_MASTER : 0);
}

/**
 * Turns memory decode and bus mastering on, or the bits that are named. Throws BusError: there is no such function, it reads as
 * all ones, its regions have no addresses, or it does not implement the bits.
 */
export function enable(
  address: string,
  bits: Partial<CommandBits> = { memory: true, busMaster: true },
): CommandChange {
  return changeCommand(readFunction(address), { ...NONE, ...bits }, true);
}

/**
 * Turns memory decode, bus mastering and I/O decode off, or the bits that are named. Throws BusError: there is no such function,
 * it reads as all ones, it does not implement the bits, or it is in use and `force` is not set.
 */
export function disable(
  address: string,
  bits: Partial<CommandBits> = ALL,
  { force = false }: { readonly force?: boolean } = {},
): CommandChange {
  const of = readFunction(address);
  const chosen = { ...NONE, ...bits };
  if (!force) requireIdle(of, chosen);
  return changeCommand(of, chosen, false);
}

/** The Command register's bits by name. */
export function commandBits(command: number): CommandBits {
  return {
    io: (command & Command.IO) !== 0,
    memory: (command & Command.MEMORY) !== 0,
    busMaster: (command & Command.BUS_MASTER) !== 0,
  };
}

/**
 * Turns the chosen bits on or off; all others stay as they are. Without a driver it first turns the kernel's
 * own switch, the `enable` file: pci_enable_device wakes the function up and enables the bridges above it,
 * without which no access reaches it. The Command register decides in the end: it is written if the switch
 * did not change it, which kernel lockdown forbids, and then read back. A virtual function has no memory
 * decode of its own; its physical function's SR-IOV capability enables it (PCIe 6.0, section 9.3.4.1.3).
 * Throws BusError; if the write failed, the switch is put back.
 */
export function changeCommand(of: PciFunction, bits: CommandBits, on: boolean): CommandChange {
  const mask = maskOf(bits);
  using config = openConfigFile(of, "r+");
  const before = config.read16(Config.COMMAND);
  if (isSilent({ command: before }))
    throw new BusError(
      `${of.address} reads as all ones: the link is down, or the device has gone away or is in reset`,
      {
        remedies: [{ verb: "rescan", args: [of.physicalFunction ?? of.address], does: "rescans for it" }],
      },
    );
  if (on && bits.memory) requireAddresses(of);
  const idle = !on && (before & ~mask & ANY) === 0;
  const turned = of.driver === undefined && (on || idle) && turnKernelSwitch(of, on);
  const wanted = on ? before | mask : before & ~mask;
  try {
    if (config.read16(Config.COMMAND) !== wanted) config.write16(Config.COMMAND, wanted);
  } catch (error) {
    if (turned) turnKernelSwitch(of, !on);
    throw error;
  }
  const after = config.read16(Config.COMMAND);
  const own = of.physicalFunction === undefined ? mask : mask & ~Command.MEMORY;
  if (((after ^ wanted) & own) !== 0)
    throw new BusError(
      `${of.address}: Command is 0x${hex(after)} after writing 0x${hex(wanted)}: the function does not implement these bits`,
    );
  return { before, after };
}

/** Throws BusError if turning bits off would disturb a kernel driver or a process that uses the function. */
export function requireIdle(of: PciFunction, bits: CommandBits): void {
  const driver = of.driver !== undefined && !isForUserSpace(of.driver) ? [`${of.driver} drives it`] : [];
  const uses = [...driver, ...findUses(of), ...findUsesBehind(of)];
  if (uses.length > 0)
    throw new BusError(`${of.address} not turned off, since it is in use:\n${uses.join("\n")}`, {
      remedies: [
        {
          verb: "enable",
          args: [of.address, "--off", ...optionsFor(bits), "--force"],
          does: "turns it off anyway",
        },
      ],
    });
}

/** The options of enable.ts that choose these bits; with --off all of them need none. */
function optionsFor({ io, memory, busMaster }: CommandBits): string[] {
  if (io && memory && busMaster) return [];
  return [...(memory ? ["--memory"] : []), ...(busMaster ? ["--bus-master"] : []), ...(io ? ["--io"] : [])];
}

const BARS = 6;
const ANY = Command.IO | Command.MEMORY | Command.BUS_MASTER;

const hex = (value: number) => value.toString(16).padStart(4, "0");

/** Without an assigned address the function would decode another device's. */
function requireAddresses(of: PciFunction): void {
  const index = of.resources
    .slice(0, BARS)
    .findIndex(({ flags }) => (flags & ResourceFlag.MEMORY) !== 0n && (flags & ResourceFlag.UNSET) !== 0n);
  if (index >= 0)
    throw new BusError(
      `region ${index} of ${of.address} has no address: the bridge above has no room for it: boot with pci=realloc`,
      { remedies: [{ verb: "rescan", args: [of.address], does: "lets the kernel try again" }] },
    );
}

/**
 * The kernel counts: each 1 needs a 0. A bound driver owns the switch, and writing fails with EBUSY. Returns
 * whether the switch was turned.
 */
function turnKernelSwitch(of: PciFunction, on: boolean): boolean {
  const isOn = Number(readAttribute(join(of.path, "enable")) ?? 0) > 0;
  if (isOn === on) return false;
  writeAttribute(join(of.path, "enable"), on ? "1" : "0", `${on ? "enable" : "disable"} ${of.address}`);
  return true;
}
