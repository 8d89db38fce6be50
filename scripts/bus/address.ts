/** The address of a function on a command line. */
import { canonicalAddress } from "../../src/pci/bus/address.ts";
import { BusError } from "../../src/pci/bus/bus-error.ts";
import { UsageError } from "../cli/usage-error.ts";

export const ADDRESS = "The function: 0000:00:09.0, or 00:09.0";

/** The canonical address. Throws UsageError if the word is missing or is not an address. */
export function functionAddress(word: string | undefined): string {
  if (word === undefined) throw new UsageError("the function's address is missing; --help has examples");
  try {
    return canonicalAddress(word);
  } catch (error) {
    if (error instanceof BusError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
