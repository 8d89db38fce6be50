/** The names of functions on a command line. */
import { BusError } from "../../src/pci/bus/bus-error.ts";
import { functionNamed, functionsNamed, isIdPair } from "../../src/pci/bus/name.ts";
import { UsageError } from "../cli/usage-error.ts";

export const ADDRESS = "The function: 0000:00:09.0, 00:09.0, 10ee:7022, nvme0n1 or eth0";
export const ADDRESSES =
  "The functions: 0000:00:09.0, 00:09.0, 10ee:7022 (all with these ids), nvme0n1 or eth0";

/** The canonical address. Throws UsageError if the word is missing, or is no function's name; BusError if no function has the ids. */
export function functionAddress(word: string | undefined): string {
  if (word === undefined) throw new UsageError("the function's address is missing; --help has examples");
  try {
    return functionNamed(word);
  } catch (error) {
    if (error instanceof BusError && !(isIdPair(word) && functionsNamed(word).length === 0))
      throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** Canonical addresses, each once; VENDOR:DEVICE stands for all functions with these ids. Throws as {@link functionAddress}. */
export function functionAddresses(words: readonly string[]): string[] {
  const addresses = words.flatMap((word) => {
    const several = isIdPair(word) ? functionsNamed(word) : [];
    return several.length > 0 ? several : functionAddress(word);
  });
  return [...new Set(addresses)];
}

/** Whether words may stand for several functions, so that there are as many results. */
export function areSeveral(words: readonly string[]): boolean {
  return words.length > 1 || words.some(isIdPair);
}

/** A device's spec with the function's address in the place of another of its names; any other spec is returned as it is. */
export function withAddress(spec: string): string {
  const [, way = "", name = "", query = ""] = /^((?:vfio|iommufd|sysfs):)?([^?]*)(\?.*)?$/.exec(spec) ?? [];
  if (!isIdPair(name) && functionsNamed(name).length === 0) return spec;
  return `${way}${functionAddress(name)}${query}`;
}
