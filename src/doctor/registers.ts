/** Whether a function's registers answer, which its configuration space does not tell: that may be another part of the chip. */
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
 * What its lowest memory region, where registers mostly are, says in its first word. Memory in another region tells
 * nothing: where a server shared it with a guest, it is still there when the server has died.
 */
export interface RegisterAnswer {
  /** The region's index. */
  readonly region: number;
  /** Whether the word reads as all ones, as that of a function that is gone (PCIe 6.0, section 2.3.2). */
  readonly silent: boolean;
}

const ALL_ONES = 0xffff_ffff;

/**
 * Reads the first word of the lowest memory region, where nobody can mind: of a function that no kernel driver has and nobody
 * uses. One that VFIO has is opened for that, which resets it; another one must decode memory already. Undefined
 * where that is not so, or the kernel refuses. A virtual function's own Command does not say whether it decodes memory
 * (PCIe 6.0, section 9.3.4.1.3), so it is asked through VFIO only.
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

/** The same of a function that was just found anew: where no driver has it, it decodes memory only while it is asked. */
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
