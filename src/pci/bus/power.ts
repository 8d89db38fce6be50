/** A function's power state: PCIe 6.0, section 5.3, and Documentation/ABI/testing/sysfs-devices-power in the kernel. */
import { join } from "node:path";
import { CapabilityId } from "../config-offsets.ts";
import type { ConfigSpace } from "../config-space.ts";
import { findCapabilities } from "../decode/named-registers.ts";
import { isAddress } from "./address.ts";
import { readAttribute } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { openConfigFile } from "./config-file.ts";
import type { PciFunction } from "./functions.ts";

export type PowerState = "D0" | "D1" | "D2" | "D3hot" | "D3cold";
/** The first four by their numbers in the register. */
const states: readonly PowerState[] = ["D0", "D1", "D2", "D3hot", "D3cold"];

/** What a function and the kernel say about its power. */
export interface Power {
  /** Undefined if neither of them says. */
  readonly state: PowerState | undefined;
  /** Whether the kernel has suspended it at run time, because nothing uses it. The bridge above may then turn it off. */
  readonly suspended: boolean;
  /** The bridges above it that are not in D0, the nearest first; while one is not, the function does not answer. */
  readonly bridges: readonly { readonly address: string; readonly state: PowerState }[];
}

/** Reads it without waking the function up. */
export function readPower(of: PciFunction): Power {
  const known = stateInSysfs(of.path);
  const suspended = readAttribute(join(of.path, "power/runtime_status")) === "suspended";
  const addresses = of.path.split("/").slice(0, -1).filter(isAddress).reverse();
  // Before its configuration space: the kernel wakes the bridges above for an access to that.
  const bridges = addresses.flatMap((address) => {
    const state = stateInSysfs(of.path.slice(0, of.path.indexOf(address) + address.length));
    return state === undefined || state === "D0" ? [] : [{ address, state }];
  });
  // A read from its configuration space would bring it out of D3cold.
  return { state: known === "D3cold" ? known : (stateInConfig(of) ?? known), suspended, bridges };
}

/** The kernel's knowledge, which is "unknown" after a driver was unbound. */
const stateInSysfs = (path: string) =>
  states.find((state) => state === readAttribute(join(path, "power_state")));

function stateInConfig(of: PciFunction): PowerState | undefined {
  try {
    using config = openConfigFile(of, "r");
    return powerStateOf(config);
  } catch (error) {
    if (error instanceof BusError) return undefined;
    throw error;
  }
}

/** PowerState of the Power Management Control/Status register, section 7.5.2.2; undefined without one, or if it does not answer. */
export function powerStateOf(config: ConfigSpace): PowerState | undefined {
  const found = findCapabilities(config)?.list.find(
    ({ extended, id }) => !extended && id === CapabilityId.POWER_MANAGEMENT,
  );
  return found && states[config.read16(found.offset + 4) & 3];
}
