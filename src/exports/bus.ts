/** vfiokit/bus: finds PCI functions, and gives and takes what is theirs: drivers, decode, their place on the bus. */
import "../os/bun-version.ts";
import "../schemes.ts";
import "./globals.ts";

export { DeviceError, type OpenOptions } from "../device/device.ts";
export { type ResetResult, reset } from "../device/reset.ts";
export { canonicalAddress, isAddress } from "../pci/bus/address.ts";
export {
  type BindOptions,
  type BindPlan,
  bind,
  bindAll,
  boundAddresses,
  type DriverChange,
  planBind,
  planBindAll,
  release,
} from "../pci/bus/binding.ts";
export { BusError } from "../pci/bus/bus-error.ts";
export { type CommandBits, type CommandChange, commandBits, disable, enable } from "../pci/bus/enable.ts";
export {
  findFunctions,
  groupMembers,
  type IommuGroup,
  listFunctions,
  type PciFunction,
  type PciIds,
  type PciResource,
  ResourceFlag,
  readFunction,
} from "../pci/bus/functions.ts";
export { type GroupMember, groupNode, isForUserSpace, isVfioDriver, judgeGroup } from "../pci/bus/group.ts";
export { type Fate, type RescanOptions, type RescanOutcome, rescan } from "../pci/bus/hotplug.ts";
export { findUses } from "../pci/bus/in-use.ts";
export { functionNamed, functionsNamed } from "../pci/bus/name.ts";
export { resetMethods, withResetMethod } from "../pci/bus/reset-method.ts";
export { type ResizableBar, resizableBars, resizeBar } from "../pci/bus/resizable-bars.ts";
export {
  listPhysicalFunctions,
  type PhysicalFunction,
  readPhysicalFunction,
  setVirtualFunctions,
  type VirtualFunctionsOptions,
} from "../pci/bus/sriov.ts";
