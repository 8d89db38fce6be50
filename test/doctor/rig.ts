/** Facts and findings of a function, shared by the doctor's tests. */
import { wordParts } from "../../scripts/cli/remedy.ts";
import type { Finding, FunctionFacts, SystemFacts } from "../../src/doctor/facts.ts";
import { examineFunction } from "../../src/doctor/function.ts";
import { examineSystem } from "../../src/doctor/system.ts";
import type { PciFunction } from "../../src/pci/bus/functions.ts";

/** A function in order: bound to vfio-pci. */
export const card: PciFunction = {
  address: "0000:00:09.0",
  path: "/sys/devices/pci0000:00/0000:00:09.0",
  vendor: 0x10ee,
  device: 0x7022,
  subsystemVendor: 0x10ee,
  subsystem: 7,
  classCode: 0x058000,
  revision: 0,
  driver: "vfio-pci",
  driverOverride: "vfio-pci",
  iommuGroup: { number: 12, noiommu: false },
  numaNode: undefined,
  irq: 47,
  resources: [{ start: 0x10800000n, end: 0x10800fffn, flags: 0x40200n }],
  isBridge: false,
  parent: undefined,
  physicalFunction: undefined,
};
export const bound: FunctionFacts = {
  function: card,
  members: [{ function: card, viable: true, verdict: "with VFIO" }],
  node: { path: "/dev/vfio/12", opened: "ok", holders: [] },
  uses: [],
  beyondVfio: false,
  power: { state: "D0", suspended: false, bridges: [] },
  config: { vendor: 0x10ee, command: 0 },
  registers: undefined,
  lockedDown: false,
  resourceFiles: [0],
  record: { driver: null, driverOverride: null, boundTo: "vfio-pci" },
};

/** Findings as a clone prints them. */
const worded = (findings: Finding[]) =>
  findings.map(({ fix, ...rest }) => ({ ...rest, fix: fix && wordParts(fix, "clone") }));
const pick = (findings: Finding[], check: string) =>
  worded(findings).find((finding) => finding.check === check)!;
export const system = (facts: SystemFacts, check: string) => pick(examineSystem(facts), check);
export const device = (facts: FunctionFacts, check: string) => pick(examineFunction(facts), check);
export const bad = (findings: Finding[]) =>
  worded(findings).filter(({ verdict }) => verdict === "problem" || verdict === "warning");
