/** HyperTransport I/O Link Specification 3.10c, section 7: which block it is, and the mapping of MSI. */
import type { CapabilityLayout } from "./capability.ts";
import { flag, number, type Register, wide } from "./register.ts";
import type { Scope } from "./scope.ts";

/** Bits 15:13 for interfaces, 15:11 for the others. */
const INTERFACES: Readonly<Record<number, string>> = {
  0: "Slave or Primary Interface",
  1: "Host or Secondary Interface",
};
const MSI_MAPPING = 0x15;
const BLOCKS: Readonly<Record<number, string>> = {
  8: "Switch",
  16: "Interrupt Discovery and Configuration",
  18: "UnitID Clumping",
  19: "Extended Configuration Space Access",
  20: "Address Mapping",
  [MSI_MAPPING]: "MSI Mapping",
  22: "DirectRoute",
  23: "VCSet",
  24: "Retry Mode",
  25: "X86 (reserved)",
};
const REVISION_ID = 0x11;

const typeOf = (scope: Scope) => scope.bits(0, 27, 31);
const isMapping = (scope: Scope) => typeOf(scope) === MSI_MAPPING;

function nameOf(type: number): string {
  if (type === REVISION_ID) return "Revision ID:";
  return INTERFACES[type >>> 2] ?? BLOCKS[type] ?? `#${type.toString(16).padStart(2, "0")}`;
}

const mapping: Register = {
  name: "msiMappingAddress",
  offset: 4,
  sizeBytes: 8,
  label: "Mapping Address Base:",
  when: (scope) => isMapping(scope) && scope.bits(0, 17) === 0,
  fields: { base: wide(20, 63, "{}") },
};

export const hyperTransport: CapabilityLayout = {
  title: "HyperTransport:",
  heading: {
    name: "hyperTransportCommand",
    offset: 2,
    sizeBytes: 2,
    label: "",
    fields: {
      capabilityType: number(11, 15, "{}", nameOf),
      mappingEnable: flag(0, "Enable", isMapping),
      mappingFixed: flag(1, "Fixed", isMapping),
      revision: {
        ...number(0, 7, "{}", (raw) => `${raw >>> 5}.${String(raw & 0x1f).padStart(2, "0")}`),
        when: (scope) => typeOf(scope) === REVISION_ID,
      },
    },
  },
  registers: [mapping],
  opaqueBytes: (scope) => (isMapping(scope) || typeOf(scope) === REVISION_ID ? 0 : Infinity),
};
