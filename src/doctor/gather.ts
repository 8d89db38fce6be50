/**
 * Reads the facts that the doctor judges. Changes nothing, but briefly opens device nodes, and devices to
 * read their registers.
 */
import { closeSync, constants, existsSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CONTAINER } from "../device/vfio/container.ts";
import { isByNodeOnly } from "../device/vfio/handle.ts";
import { IOMMUFD } from "../device/vfio/iommufd.ts";
import { lockableBytes } from "../device/vfio/memlock.ts";
import { codeOf, readAttribute } from "../pci/bus/attribute.ts";
import { readRecord } from "../pci/bus/binding-record.ts";
import { BusError } from "../pci/bus/bus-error.ts";
import type { PciFunction } from "../pci/bus/functions.ts";
import { deviceNode, groupNode, isVfioDriver, judgeGroup } from "../pci/bus/group.ts";
import { findHolders } from "../pci/bus/holders.ts";
import { findUses } from "../pci/bus/in-use.ts";
import { isBeyondVfio, listIommus, noiommuMode } from "../pci/bus/iommu.ts";
import { moduleState } from "../pci/bus/module.ts";
import { readPower } from "../pci/bus/power.ts";
import { readAnswer } from "../pci/bus/presence.ts";
import { closesSysfs, type FunctionFacts, type Opened, type SystemFacts } from "./facts.ts";
import { askRegisters } from "./registers.ts";

/** Collects this machine's facts from /proc and /sys. Changes nothing. */
export function gatherSystem(): SystemFacts {
  const cpu = readAttribute("/proc/cpuinfo") ?? "";
  return {
    architecture: process.arch,
    cpuVendor: cpu.includes("GenuineIntel") ? "intel" : cpu.includes("AuthenticAMD") ? "amd" : undefined,
    commandLine: (readAttribute("/proc/cmdline") ?? "").split(/\s+/),
    iommus: listIommus(),
    firmwareTable: ["DMAR", "IVRS", "IORT", "VIOT"].find((name) =>
      existsSync(`/sys/firmware/acpi/tables/${name}`),
    ),
    // arch/x86/kernel/apic names interrupt chips IR-... if the IOMMU remaps their interrupts.
    interruptRemapping: /\bIR-/.test(readAttribute("/proc/interrupts") ?? ""),
    unsafeInterrupts:
      readAttribute("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts") === "Y",
    modules: {
      "vfio-pci": moduleState("vfio-pci"),
      vfio_iommu_type1: moduleState("vfio_iommu_type1"),
      uio_pci_generic: moduleState("uio_pci_generic"),
    },
    container: tryOpen(CONTAINER),
    iommufd: tryOpen(IOMMUFD),
    memlockBytes: lockableBytes(),
    noiommu: noiommuMode(),
    lockdown: lockdownMode(),
    hugepages: hugepages(),
    transparentHugepages: /\[(always|madvise)\]/.test(
      readAttribute("/sys/kernel/mm/transparent_hugepage/enabled") ?? "",
    ),
    root: process.geteuid?.() === 0,
  };
}

function lockdownMode(): string | undefined {
  return /\[(\w+)\]/.exec(readAttribute("/sys/kernel/security/lockdown") ?? "")?.[1];
}

/**
 * Collects a function's facts. With `ask` it also reads the first word of the lowest memory region, unless a kernel driver or a
 * process has the function; VFIO opens a function for that, which resets it.
 */
export function gatherFunction(of: PciFunction, ask: boolean): FunctionFacts {
  const { iommuGroup: group } = of;
  const path =
    group && isVfioDriver(of.driver) ? (isByNodeOnly(of) ? deviceNode(of) : groupNode(group)) : undefined;
  // First: what follows may wake it up.
  const power = readPower(of);
  const holders = path === undefined ? [] : findHolders(new Set([path]));
  return {
    function: of,
    members: group ? judgeGroup(group) : [],
    // If its holder is known, opening it would say no more.
    node:
      path === undefined
        ? undefined
        : { path, opened: holders.length > 0 ? "EBUSY" : tryOpen(path), holders },
    uses: findUses(of),
    beyondVfio: isBeyondVfio(of),
    power,
    config: readAnswer(of),
    registers: ask ? askRegisters(of) : undefined,
    lockedDown: closesSysfs(lockdownMode()),
    resourceFiles: of.resources.flatMap((_, index) =>
      existsSync(join(of.path, `resource${index}`)) ? index : [],
    ),
    record: recordOf(of.address),
  };
}

/** Only root can read records. */
function recordOf(address: string): FunctionFacts["record"] {
  try {
    return readRecord(address);
  } catch (error) {
    if (error instanceof BusError) return undefined;
    throw error;
  }
}

function tryOpen(path: string): Opened {
  try {
    closeSync(openSync(path, constants.O_RDWR));
    return "ok";
  } catch (error) {
    return codeOf(error);
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function hugepages(): SystemFacts["hugepages"] {
  const root = "/sys/kernel/mm/hugepages";
  return entries(root).flatMap((name) => {
    const kilobytes = /^hugepages-(\d+)kB$/.exec(name)?.[1];
    if (kilobytes === undefined) return [];
    const count = (file: string) => Number(readAttribute(join(root, name, file)) ?? 0);
    return {
      sizeBytes: Number(kilobytes) * 1024,
      total: count("nr_hugepages"),
      free: count("free_hugepages"),
    };
  });
}
