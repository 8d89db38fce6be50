/** Whether a function answers at all. */
import { ALL_ONES, Config } from "../config-offsets.ts";
import { BusError } from "./bus-error.ts";
import { openConfigFile } from "./config-file.ts";
import type { PciFunction } from "./functions.ts";

/** What a function's configuration space says now. */
export interface ConfigAnswer {
  readonly vendor: number;
  /** The Command register. */
  readonly command: number;
}

/** Undefined where configuration space can't be read. */
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
 * Whether this is the answer of a function that is not there: all ones (PCIe 6.0, section 2.3.2). The vendor id alone does
 * not tell: a virtual function's own reads so while it is well (section 9.3.4.1.1), and Command's reserved bits never do.
 */
export function isSilent({ command }: Pick<ConfigAnswer, "command">): boolean {
  return command === ALL_ONES;
}
