/** The facts that the doctor judges: gathered by gather.ts, judged by system.ts and function.ts, made up by tests. */
import type { BindingRecord } from "../pci/bus/binding-record.ts";
import type { PciFunction } from "../pci/bus/functions.ts";
import type { GroupMember } from "../pci/bus/group.ts";
import type { Holder } from "../pci/bus/holders.ts";
import type { ModuleState } from "../pci/bus/module.ts";
import type { Power } from "../pci/bus/power.ts";
import type { ConfigAnswer } from "../pci/bus/presence.ts";
import type { Remedy } from "../remedy/remedy.ts";
import type { RegisterAnswer } from "./registers.ts";

/** Result of opening a device node: "ok", or the errno name. */
export type Opened = "ok" | "ENOENT" | "EACCES" | "EBUSY" | (string & {});

/** What the machine's checks look at; `gatherSystem` collects it. */
export interface SystemFacts {
  /** As in process.arch. */
  readonly architecture: string;
  readonly cpuVendor: "intel" | "amd" | undefined;
  /** The kernel's command line. */
  readonly commandLine: readonly string[];
  /** IOMMUs that the kernel drives, by name. */
  readonly iommus: readonly string[];
  /** The firmware's table that describes IOMMUs: DMAR (Intel), IVRS (AMD), IORT (Arm), VIOT (virtio). */
  readonly firmwareTable: string | undefined;
  /** Whether the IOMMU also remaps interrupts; x86 only. */
  readonly interruptRemapping: boolean;
  /** vfio_iommu_type1's allow_unsafe_interrupts. */
  readonly unsafeInterrupts: boolean;
  readonly modules: Readonly<Record<"vfio-pci" | "vfio_iommu_type1" | "uio_pci_generic", ModuleState>>;
  /** /dev/vfio/vfio. */
  readonly container: Opened;
  /** /dev/iommu. */
  readonly iommufd: Opened;
  /** Bytes that this process may still pin for DMA; infinity without a limit. */
  readonly memlockBytes: number;
  /** enable_unsafe_noiommu_mode; undefined if the kernel lacks it. */
  readonly noiommu: boolean | undefined;
  /** The kernel's lockdown mode; undefined if it has none. */
  readonly lockdown: string | undefined;
  readonly hugepages: readonly {
    readonly sizeBytes: number;
    readonly total: number;
    readonly free: number;
  }[];
  /** Whether programs can get transparent huge pages: always, or on request (madvise). */
  readonly transparentHugepages: boolean;
  readonly root: boolean;
}

/** What a function's checks look at; `gatherFunction` collects it. */
export interface FunctionFacts {
  readonly function: PciFunction;
  readonly members: readonly GroupMember[];
  /** The node that opens it, if VFIO's driver is bound: its group's, or its own where there are no groups. */
  readonly node:
    | { readonly path: string; readonly opened: Opened; readonly holders: readonly Holder[] }
    | undefined;
  /** Reasons not to take it, as findUses gives them. */
  readonly uses: readonly string[];
  /** VFIO can't take it: there is no IOMMU, and noiommu mode is off. */
  readonly beyondVfio: boolean;
  /** Undefined if it can't be read. */
  readonly config: ConfigAnswer | undefined;
  readonly power: Power;
  /** Undefined if they were not read. */
  readonly registers: RegisterAnswer | undefined;
  /**
   * Whether kernel lockdown forbids mapping its regions and writing its configuration space through sysfs.
   */
  readonly lockedDown: boolean;
  /** Indices of the regions that have a file to map. */
  readonly resourceFiles: readonly number[];
  readonly record: BindingRecord | undefined;
}

/** How a check came out. A problem prevents driving the device. */
export type Verdict = "ok" | "warning" | "problem" | "not applicable";

/** The result of one check. */
export interface Finding {
  /** Name of the check, a word or two; does not change. */
  readonly check: string;
  readonly verdict: Verdict;
  /** A sentence without a full stop. */
  readonly text: string;
  /** The command or the step that helps. */
  readonly fix: Fix | undefined;
}

/** A sentence's parts, to be joined: its words, and the toolkit's commands in it. */
export type Fix = readonly (string | Remedy)[];

/** Whether a lockdown mode (see lockdown(7)) blocks access to devices through sysfs; all but none do. */
export const closesSysfs = (mode: string | undefined): boolean => mode !== undefined && mode !== "none";

export const finding = (check: string, verdict: Verdict, text: string, ...fix: Fix): Finding => ({
  check,
  verdict,
  text,
  fix: fix.length > 0 ? fix : undefined,
});
