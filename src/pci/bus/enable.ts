/** Memory decode, I/O decode and bus mastering of a function, on and off. */
import { join } from "node:path";
import { Command, Config } from "../config.ts";
import { readAttribute, writeAttribute } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { openConfigFile } from "./config-file.ts";
import { type PciFunction, ResourceFlag, readFunction } from "./functions.ts";
import { isForUserSpace } from "./group.ts";
import { findUses, findUsesBehind } from "./in-use.ts";
import { isSilent } from "./presence.ts";

/** Which bits of the Command register, PCIe 6.0 section 7.5.1.1.3. */
export interface CommandBits {
  readonly io: boolean;
  readonly memory: boolean;
  readonly busMaster: boolean;
}

const NONE: CommandBits = { io: false, memory: false, busMaster: false };
const ALL: CommandBits = { io: true, memory: true, busMaster: true };

export interface CommandChange {
  /** The whole register, 16 bits. */
  readonly before: number;
  readonly after: number;
}

function maskOf({ io, memory, busMaster }: CommandBits): number {
  return (io ? Command.IO : 0) | (memory ? Command.MEMORY : 0) | (busMaster ? Command.BUS_MASTER : 0);
}

/**
 * Turns memory decode and bus mastering on, or the bits that are named. Throws BusError: see {@link changeCommand}.
 */
export function enable(
  address: string,
  bits: Partial<CommandBits> = { memory: true, busMaster: true },
): CommandChange {
  return changeCommand(readFunction(address), { ...NONE, ...bits }, true);
}

/**
 * Turns memory decode, bus mastering and I/O decode off, or the bits that are named. Throws BusError: see
 * {@link changeCommand}; without `force` also where the function is in use.
 */
export function disable(
  address: string,
  bits: Partial<CommandBits> = ALL,
  { force = false }: { readonly force?: boolean } = {},
): CommandChange {
  const of = readFunction(address);
  if (!force) requireIdle(of);
  return changeCommand(of, { ...NONE, ...bits }, false);
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
 * Turns the chosen bits on or off; all others stay as they are. Where no driver is bound the kernel's own switch, the
 * `enable` file, is turned first: pci_enable_device wakes the function up, and turns on the bridges above it, without
 * which an access never reaches it. The Command register is what counts in the end: it is written where the switch did
 * not do, which kernel lockdown forbids, and read back. A virtual function has no memory decode of its own: its physical
 * function's SR-IOV capability turns it on (PCIe 6.0, section 9.3.4.1.3). Throws BusError; the switch is as it was then.
 */
export function changeCommand(of: PciFunction, bits: CommandBits, on: boolean): CommandChange {
  const mask = maskOf(bits);
  using config = openConfigFile(of, "r+");
  const before = config.read16(Config.COMMAND);
  if (isSilent({ command: before }))
    throw new BusError(
      `${of.address} answers all ones: the link is down, or the device is gone or in reset; bun run rescan.ts ${of.physicalFunction ?? of.address} looks for it anew`,
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
      `${of.address}: Command is 0x${hex(after)} after writing 0x${hex(wanted)}: the function does not have these bits`,
    );
  return { before, after };
}

/** Throws BusError where turning bits off would take the function from whoever uses it: a kernel driver, or a process. */
export function requireIdle(of: PciFunction): void {
  const driver = of.driver !== undefined && !isForUserSpace(of.driver) ? [`${of.driver} drives it`] : [];
  const uses = [...driver, ...findUses(of), ...findUsesBehind(of)];
  if (uses.length > 0)
    throw new BusError(
      `${of.address} not turned off, since it is in use:\n${uses.join("\n")}\n(--force turns it off all the same)`,
    );
}

const BARS = 6;
const ANY = Command.IO | Command.MEMORY | Command.BUS_MASTER;

const hex = (value: number) => value.toString(16).padStart(4, "0");

/** Decode without an address would answer at somebody else's. */
function requireAddresses(of: PciFunction): void {
  const index = of.resources
    .slice(0, BARS)
    .findIndex(({ flags }) => (flags & ResourceFlag.MEMORY) !== 0n && (flags & ResourceFlag.UNSET) !== 0n);
  if (index >= 0)
    throw new BusError(
      `region ${index} of ${of.address} has no address: the bridge above has no room for it; bun run rescan.ts ${of.address} lets the kernel try again, or boot with pci=realloc`,
    );
}

/**
 * Counted by the kernel: each 1 takes a 0. With a driver bound it is that driver's, and writing gives EBUSY. Returns
 * whether it had to be turned.
 */
function turnKernelSwitch(of: PciFunction, on: boolean): boolean {
  const isOn = Number(readAttribute(join(of.path, "enable")) ?? 0) > 0;
  if (isOn === on) return false;
  writeAttribute(join(of.path, "enable"), on ? "1" : "0", `${on ? "enable" : "disable"} ${of.address}`);
  return true;
}
