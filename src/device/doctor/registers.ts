/** Whether a function's registers answer, which its configuration space does not tell: that may be another part of the chip. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { read32 } from "../../os/access.ts";
import { SystemError } from "../../os/errno.ts";
import { O_RDONLY, openFile } from "../../os/fd.ts";
import { mapShared, PAGE_SIZE } from "../../os/memory.ts";
import { BusError } from "../../pci/bus/bus-error.ts";
import { changeCommand, commandBits } from "../../pci/bus/enable.ts";
import { type PciFunction, ResourceFlag } from "../../pci/bus/functions.ts";
import { isVfioDriver } from "../../pci/bus/group.ts";
import { findUses } from "../../pci/bus/in-use.ts";
import { isSilent, readAnswer } from "../../pci/bus/presence.ts";
import { DeviceError } from "../device.ts";
import { openPci } from "../pci.ts";
import { BARS } from "../vfio-abi.ts";

/** What its memory regions' first words said. */
export interface RegisterAnswer {
  /** Indices of the regions that were read; at least one. */
  readonly regions: readonly number[];
  /** Whether all of them read as all ones, as of a function that is gone (PCIe 6.0, section 2.3.2). */
  readonly silent: boolean;
}

const ALL_ONES = 0xffff_ffff;

/**
 * Reads the first word of each memory region, where nobody can mind: of a function that no kernel driver has and nobody
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
    return commandBits(answer.command).memory && mappable ? judge(throughSysfs(of)) : undefined;
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

type Words = readonly { readonly region: number; readonly word: number }[];

function judge(words: Words): RegisterAnswer | undefined {
  if (words.length === 0) return undefined;
  return {
    regions: words.map(({ region }) => region),
    silent: words.every(({ word }) => word === ALL_ONES),
  };
}

function throughVfio(of: PciFunction): RegisterAnswer | undefined {
  using device = openPci(`vfio:${of.address}`);
  const mapped = device.bars.filter((bar) => bar.sizeBytes >= 4 && bar.isMapped(0, 4));
  return judge(mapped.map((bar) => ({ region: bar.index, word: bar.read32(0) })));
}

/** Writes nothing, not even the Command register. */
function throughSysfs(of: PciFunction): Words {
  return of.resources.slice(0, BARS).flatMap(({ start, flags }, region) => {
    const path = join(of.path, `resource${region}`);
    const isThere = (flags & ResourceFlag.MEMORY) !== 0n && (flags & ResourceFlag.UNSET) === 0n && start > 0n;
    if (!isThere || !existsSync(path)) return [];
    using file = openFile(path, O_RDONLY);
    const inPage = Number(start % BigInt(PAGE_SIZE));
    using mapping = mapShared(file.number, inPage + 4, 0, false);
    return [{ region, word: read32(mapping.address + inPage) }];
  });
}
