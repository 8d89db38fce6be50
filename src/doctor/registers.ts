/**
 * Whether a function's registers answer. Its configuration space does not say: it may be another part of the
 * chip.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DeviceError } from "../device/device.ts";
import { openPci } from "../device/pci.ts";
import { read32 } from "../os/access.ts";
import { SystemError } from "../os/errno.ts";
import { O_RDONLY, openFile } from "../os/fd.ts";
import { mapShared, PAGE_SIZE } from "../os/memory.ts";
import { BusError } from "../pci/bus/bus-error.ts";
import { changeCommand, commandBits } from "../pci/bus/enable.ts";
import { type PciFunction, ResourceFlag } from "../pci/bus/functions.ts";
import { isVfioDriver } from "../pci/bus/group.ts";
import { findUses } from "../pci/bus/in-use.ts";
import { isSilent, readAnswer } from "../pci/bus/presence.ts";
import { BARS } from "../protocol/vfio.ts";

/**
 * The first word of the lowest memory region, where registers mostly are. Another region says nothing: memory
 * that a server shared with a guest is still there after the server has died.
 */
export interface RegisterAnswer {
  /** The region's index. */
  readonly region: number;
  /** Whether the word reads as all ones, as if the function were gone (PCIe 6.0, section 2.3.2). */
  readonly silent: boolean;
}

const ALL_ONES = 0xffff_ffff;

/**
 * Reads the first word of the lowest memory region if that disturbs nobody: no kernel driver has the
 * function, and nothing uses it. A function that VFIO has is opened for this, which resets it; any other must
 * already decode memory. Returns undefined otherwise, or if the kernel refuses. A virtual function's own
 * Command does not say whether it decodes memory (PCIe 6.0, section 9.3.4.1.3), so it is read through VFIO
 * only.
 */
export function askRegisters(of: PciFunction): RegisterAnswer | undefined {
  const answer = readAnswer(of);
  if (of.isBridge || answer === undefined || isSilent(answer) || findUses(of).length > 0) return undefined;
  try {
    if (isVfioDriver(of.driver)) return throughVfio(of);
    const mappable = of.driver === undefined || of.driver === "uio_pci_generic";
    return commandBits(answer.command).memory && mappable ? throughSysfs(of) : undefined;
  } catch (error) {
    if (error instanceof DeviceError || error instanceof SystemError || error instanceof BusError)
      return undefined;
    throw error;
  }
}

/**
 * The same for a function that a rescan just found. Without a driver it decodes memory only during the read.
 */
export function askFound(of: PciFunction): RegisterAnswer | undefined {
  if (of.driver !== undefined || of.isBridge) return askRegisters(of);
  const memory = { io: false, memory: true, busMaster: false };
  try {
    const { before } = changeCommand(of, memory, true);
    try {
      return askRegisters(of);
    } finally {
      if (!commandBits(before).memory) changeCommand(of, memory, false);
    }
  } catch (error) {
    if (error instanceof BusError) return undefined;
    throw error;
  }
}

function throughVfio(of: PciFunction): RegisterAnswer | undefined {
  using device = openPci(`vfio:${of.address}`);
  const bar = device.bars.find((bar) => bar.sizeBytes >= 4 && bar.isMapped(0, 4));
  return bar && { region: bar.index, silent: bar.read32(0) === ALL_ONES };
}

/** Writes nothing, not even the Command register. */
function throughSysfs(of: PciFunction): RegisterAnswer | undefined {
  for (const [region, { start, flags }] of of.resources.slice(0, BARS).entries()) {
    const path = join(of.path, `resource${region}`);
    const isThere = (flags & ResourceFlag.MEMORY) !== 0n && (flags & ResourceFlag.UNSET) === 0n && start > 0n;
    if (!isThere || !existsSync(path)) continue;
    using file = openFile(path, O_RDONLY);
    const inPage = Number(start % BigInt(PAGE_SIZE));
    using mapping = mapShared(file.number, inPage + 4, 0, false);
    return { region, silent: read32(mapping.address + inPage) === ALL_ONES };
  }
  return undefined;
}
