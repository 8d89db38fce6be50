/** The doctor's round: this machine, and functions. */
import { listFunctions, readFunction } from "../pci/bus/functions.ts";
import { isForUserSpace } from "../pci/bus/group.ts";
import type { Finding } from "./facts.ts";
import { examineFunction } from "./function.ts";
import { gatherFunction, gatherSystem } from "./gather.ts";
import { examineSystem } from "./system.ts";

/** All findings. */
export interface Examination {
  /** Of this machine. */
  readonly system: Finding[];
  readonly functions: { readonly address: string; readonly findings: Finding[] }[];
}

/**
 * Examines this machine and a function; without an address, all functions that are bound to a driver for user space, or
 * meant to be. A named function that no kernel driver and no process has is asked for a word of its lowest region, for
 * which VFIO opens, and so resets, it. Changes nothing else. Throws BusError where there is no such function.
 */
export function examine(address?: string): Examination {
  const chosen =
    address === undefined
      ? listFunctions().filter((of) => isForUserSpace(of.driver) || of.driverOverride !== undefined)
      : [readFunction(address)];
  return {
    system: examineSystem(gatherSystem()),
    functions: chosen.map((of) => ({
      address: of.address,
      findings: examineFunction(gatherFunction(of, address !== undefined)),
    })),
  };
}
