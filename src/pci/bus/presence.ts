/** Whether a function answers at all. */
import { ALL_ONES, Config } from "../config-offsets.ts";
import { BusError } from "./bus-error.ts";
import { openConfigFile } from "./config-file.ts";
import type { PciFunction } from "./functions.ts";

/** A reading of a function's configuration space. */
export interface ConfigAnswer {
  readonly vendor: number;
  /** The Command register. */
  readonly command: number;
}

/** Undefined if configuration space can't be read. */
export function readAnswer(of: PciFunction): ConfigAnswer | undefined {
  try {
    using config = openConfigFile(of, "r");
    return { vendor: config.read16(Config.VENDOR_ID), command: config.read16(Config.COMMAND) };
  } catch (error) {
    if (error instanceof BusError) return undefined;
    throw error;
  }
}

/**
 * Whether a function is gone: it then reads as all ones (PCIe 6.0, section 2.3.2). The vendor id is no proof,
 * because a healthy virtual function's own reads as ones, too (section 9.3.4.1.1). Command's reserved bits
 * never do.
 */
export function isSilent({ command }: Pick<ConfigAnswer, "command">): boolean {
  return command === ALL_ONES;
}
