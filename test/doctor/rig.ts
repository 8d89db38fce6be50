/** Facts and findings of a function, shared by the doctor's tests. */
import { wordParts } from "../../scripts/cli/remedy.ts";
import type { Finding, FunctionFacts, SystemFacts } from "../../src/doctor/facts.ts";
import { examineFunction } from "../../src/doctor/function.ts";
import { examineSystem } from "../../src/doctor/system.ts";
import { card } from "../pci/made-up.ts";

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
