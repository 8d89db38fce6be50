/**
 * Virtual functions: sriov_totalvfs, sriov_numvfs and the others of Documentation/ABI/testing/sysfs-bus-pci in the kernel. What they
 * are is in PCIe 6.0, section 9.3.3 (SR-IOV Extended Capability).
 */
import { join } from "node:path";
import type { Advice } from "../../remedy/remedy.ts";
import { codeOf, readAttribute, writeAttribute } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { virtualFunctions } from "./dependents.ts";
import { FUNCTIONS, listFunctions, type PciFunction, readFunction } from "./functions.ts";
import { isVfioDriver } from "./group.ts";
import { findUsesOf } from "./in-use.ts";
import { detach, requireRights } from "./kernel-driver.ts";

const NUMBER_FILE = "sriov_numvfs";

/** A physical function: one that can have virtual functions. */
export interface PhysicalFunction {
  readonly function: PciFunction;
  /** How many it can have; its driver may lower that. */
  readonly total: number;
  /** The virtual functions that it has, ordered by address. */
  readonly functions: readonly PciFunction[];
  /** The first one's routing id (bus, device and function: 16 bits) less its own, and the distance between two of them. */
  readonly offset: number;
  readonly stride: number;
  /** Their device id; the vendor's is its own. */
  readonly deviceId: number;
  /** Whether the kernel looks for a driver for those that are created. */
  readonly autoprobe: boolean;
}

/** Options for `setVirtualFunctions`. */
export interface VirtualFunctionsOptions {
  /** Even if virtual functions that are removed are in use. */
  readonly force?: boolean;
  /** Whether the kernel looks for a driver for those that are created. It remembers that; if absent, it goes on as before. */
  readonly autoprobe?: boolean | undefined;
}

/** All physical functions, ordered by address. */
export function listPhysicalFunctions(root = FUNCTIONS): PhysicalFunction[] {
  return listFunctions(root).flatMap((of) => describe(of, root) ?? []);
}

/** Finds a physical function. Throws BusError if there is no such function, or it can't have virtual functions. */
export function readPhysicalFunction(address: string, root = FUNCTIONS): PhysicalFunction {
  const of = readFunction(address, root);
  const found = describe(of, root);
  if (found !== undefined) return found;
  const { physicalFunction } = of;
  if (physicalFunction !== undefined)
    throw new BusError(`${of.address} is itself a virtual function, of ${physicalFunction}`, {
      remedies: [{ verb: "vf", args: [physicalFunction], does: "shows all of them" }],
    });
  throw new BusError(
    `${of.address} can't have virtual functions: it has no SR-IOV capability, or this kernel was built without CONFIG_PCI_IOV`,
    { remedies: [{ verb: "info", args: [of.address], does: "shows its capabilities" }] },
  );
}

function describe(of: PciFunction, root: string): PhysicalFunction | undefined {
  const text = (name: string) => readAttribute(join(of.path, name));
  const total = text("sriov_totalvfs");
  if (total === undefined) return undefined;
  return {
    function: of,
    total: Number(total),
    functions: virtualFunctions(of, root),
    offset: Number(text("sriov_offset")),
    stride: Number(text("sriov_stride")),
    deviceId: Number.parseInt(text("sriov_vf_device") ?? "", 16),
    autoprobe: text("sriov_drivers_autoprobe") !== "0",
  };
}

/**
 * Gives a physical function this many virtual ones; 0 removes all. The kernel can't change their number, so it removes them first.
 * Returns what there is then. Throws BusError: without root, if those that are removed are in use, or if the function's driver does
 * not create them.
 */
export async function setVirtualFunctions(
  address: string,
  count: number,
  { force = false, autoprobe }: VirtualFunctionsOptions = {},
): Promise<PhysicalFunction> {
  const before = readPhysicalFunction(address);
  const { function: of, total } = before;
  if (!Number.isInteger(count) || count < 0 || count > total)
    throw new BusError(`${of.address} can have 0 to ${total} virtual functions, not ${count}`);
  requireRights(of, NUMBER_FILE, `set the number of virtual functions of ${of.address}`);
  if (count !== before.functions.length) {
    if (count > 0) checkDriver(of);
    if (!force) refuseInUse(before, count);
  }
  if (autoprobe !== undefined)
    writeAttribute(
      join(of.path, "sriov_drivers_autoprobe"),
      autoprobe ? "1" : "0",
      `turn the search for drivers of ${of.address}'s virtual functions ${autoprobe ? "on" : "off"}`,
    );
  if (count !== before.functions.length) {
    // As the kernel counts them.
    const had = Number(readAttribute(join(of.path, NUMBER_FILE)));
    if (had > 0) await removeAll(of);
    if (count > 0) create(of, count, had);
  }
  const after = readPhysicalFunction(address);
  if (after.functions.length !== count)
    throw new BusError(
      `the kernel reported success, but ${of.address} has ${after.functions.length} virtual functions, not ${count}: dmesg | tail may say why`,
    );
  return after;
}

function refuseInUse({ function: of, functions }: PhysicalFunction, count: number): void {
  const uses = findUsesOf(functions);
  if (uses.length === 0) return;
  throw new BusError(`virtual functions not removed, since they are in use:\n${uses.join("\n")}`, {
    remedies: [
      { verb: "vf", args: [of.address, "--count", `${count}`, "--force"], does: "removes them anyway" },
    ],
  });
}

const SRIOV_PARAMETER = "/sys/module/vfio_pci/parameters/enable_sriov";

/** Throws BusError if the function's driver is known not to create virtual functions. */
function checkDriver({ address, driver }: PciFunction): void {
  const why = `the driver of ${address} creates its virtual functions`;
  if (driver === undefined)
    throw new BusError(`${why}, and it has none: bind it to its own, or to vfio-pci, with enable_sriov on`, {
      remedies: [{ verb: "bind", args: [address], does: "binds it to vfio-pci" }],
    });
  if (driver === "vfio-pci" && readAttribute(SRIOV_PARAMETER) === "N")
    throw new BusError(
      `${why}, and vfio-pci does so only if that is allowed: as root: echo Y > ${SRIOV_PARAMETER}`,
    );
}

async function removeAll(of: PciFunction): Promise<void> {
  const what = `remove the virtual functions of ${of.address}`;
  const file = join(of.path, NUMBER_FILE);
  await detach(of, file, "0", what, [{ verb: "vf", args: [of.address], does: "shows those that are left" }]);
  // A driver may refuse at once; the child has not said why.
  if (readAttribute(file) !== "0") writeAttribute(file, "0", what);
}

function create(of: PciFunction, count: number, had: number): void {
  try {
    writeAttribute(
      join(of.path, NUMBER_FILE),
      `${count}`,
      `create ${count} virtual functions of ${of.address}`,
    );
  } catch (error) {
    const why = error instanceof BusError ? advice(codeOf(error.cause), of) : undefined;
    if (!(error instanceof BusError) || why === undefined) throw error;
    const gone = had > 0 ? `; the ${had} that there were are removed` : "";
    throw new BusError(`${error.message}: ${why.text}${gone}`, { cause: error, remedies: why.remedies });
  }
}

/** The likely cause of an errno of sriov_numvfs_store and sriov_enable in the kernel. */
function advice(code: string, { address, driver }: PciFunction): Advice | undefined {
  if (code === "ENOENT")
    return {
      text: isVfioDriver(driver)
        ? `${driver} does so only if that is allowed: as root: echo Y > ${SRIOV_PARAMETER}`
        : `${driver} does not create virtual functions: bind ${address} to a driver that does`,
      remedies: [],
    };
  if (code === "ENOMEM" || code === "EBUSY")
    return {
      text: "the firmware left no bus numbers or addresses for them: turn SR-IOV on in its setup, or boot the kernel with pci=realloc,assign-busses; dmesg | tail says which are missing",
      remedies: [],
    };
  return { text: "its driver or the device failed: dmesg | tail may say why", remedies: [] };
}
