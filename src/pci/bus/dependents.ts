/** What hangs from a function: the virtual functions that it made, and what lies behind a bridge. */
import { FUNCTIONS, listFunctions, type PciFunction } from "./functions.ts";

/** A physical function's virtual ones, in the order of their addresses. They vanish when its driver lets go of it. */
export function virtualFunctions(of: Pick<PciFunction, "address">, root = FUNCTIONS): PciFunction[] {
  return listFunctions(root).filter(({ physicalFunction }) => physicalFunction === of.address);
}

/** The functions behind a bridge, at any depth. They can't be reached while its decode is off. */
export function functionsBehind(of: Pick<PciFunction, "path">, root = FUNCTIONS): PciFunction[] {
  return listFunctions(root).filter(({ path }) => path.startsWith(`${of.path}/`));
}

/** "0000:00:12.0 (no driver), 0000:00:12.2 (vfio-pci)" */
export function describeFunctions(functions: readonly PciFunction[]): string {
  return functions.map(({ address, driver }) => `${address} (${driver ?? "no driver"})`).join(", ");
}

/** The command that removes a physical function's virtual ones. */
export function removeVirtualFunctions(physicalFunction: string): string {
  return `echo 0 > ${FUNCTIONS}/${physicalFunction}/sriov_numvfs`;
}
