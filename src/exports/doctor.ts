/** vfiokit/doctor: what stands in the way of driving a device, and the command that repairs it. */
import "../os/bun-version.ts";
import "./globals.ts";

export { type Examination, examine } from "../doctor/examine.ts";
export type { Finding, FunctionFacts, Opened, SystemFacts, Verdict } from "../doctor/facts.ts";
export { examineFunction } from "../doctor/function.ts";
export { gatherFunction, gatherSystem } from "../doctor/gather.ts";
export { examineSystem } from "../doctor/system.ts";
export { BusError } from "../pci/bus/bus-error.ts";
