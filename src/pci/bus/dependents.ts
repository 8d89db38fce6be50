/** Functions that depend on another: its virtual functions, and the functions behind a bridge. */
import { FUNCTIONS, listFunctions, type PciFunction } from "./functions.ts";

/** A physical function's virtual functions, ordered by address. They vanish when its driver releases it. */
export function virtualFunctions(of: Pick<PciFunction, "address">, root = FUNCTIONS): PciFunction[] {
  return listFunctions(root).filter(({ physicalFunction }) => physicalFunction === of.address);
}

/** The functions behind a bridge, at any depth. They are unreachable while its decode is off. */
export function functionsBehind(of: Pick<PciFunction, "path">, root = FUNCTIONS): PciFunction[] {
  return listFunctions(root).filter(({ path }) => path.startsWith(`${of.path}/`));
}

/** "0000:00:12.0 (no driver), 0000:00:12.2 (vfio-pci)" */
export function describeFunctions(functions: readonly PciFunction[]): string {
  return functions.map(({ address, driver }) => `${address} (${driver ?? "no driver"})`).join(", ");
}

/** The command that removes a physical function's virtual functions. */
export function removeVirtualFunctions(physicalFunction: string): string {
  return `echo 0 > ${FUNCTIONS}/${physicalFunction}/sriov_numvfs`;
}
