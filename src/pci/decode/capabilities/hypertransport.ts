/** HyperTransport I/O Link Specification 3.10c, section 7: block types, interfaces, and MSI mapping. */
import type { CapabilityLayout } from "./capability.ts";
import {
  type Condition,
  choice,
  type FieldLayout,
  flag,
  hex,
  number,
  type RegisterLayout,
  wide,
} from "./register-layout.ts";
import type { Scope } from "./scope.ts";

/** Bits 15:13 for interfaces, 15:11 for the others. */
const PRIMARY = 0;
const SECONDARY = 1;
const INTERFACES: Readonly<Record<number, string>> = {
  [PRIMARY]: "Slave or Primary Interface",
  [SECONDARY]: "Host or Secondary Interface",
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
const interfaceOf = (scope: Scope) => typeOf(scope) >>> 2;

function nameOf(type: number): string {
  if (type === REVISION_ID) return "Revision ID:";
  return INTERFACES[type >>> 2] ?? BLOCKS[type] ?? `#${type.toString(16).padStart(2, "0")}`;
}

const revisionText = (raw: number) => `${raw >>> 5}.${String(raw & 0x1f).padStart(2, "0")}`;

const mapping: RegisterLayout = {
  name: "msiMappingAddress",
  offset: 4,
  sizeBytes: 8,
  label: "Mapping Address Base:",
  when: (scope) => isMapping(scope) && scope.bits(0, 17) === 0,
  fields: { base: wide(20, 63, "{}") },
};

/** The interface's revision, which decides what its registers mean. */
const revisionOf = (scope: Scope) => scope.read(interfaceOf(scope) === PRIMARY ? 12 : 8, 1);
const REVISION_1_02 = 0x22;
const REVISION_0_17 = 0x11;
const isLater: Condition = (scope) => revisionOf(scope) >= REVISION_1_02;

const WIDTHS = ["8bit", "16bit", "[2]", "32bit", "2bit", "4bit", "[6]", "N/C"];
const FREQUENCIES = [
  "200MHz",
  "300MHz",
  "400MHz",
  "500MHz",
  "600MHz",
  "800MHz",
  "1.0GHz",
  "1.2GHz",
  "1.4GHz",
  "1.6GHz",
  "[a]",
  "[b]",
  "[c]",
  "[d]",
  "[e]",
  "Vend",
];

const word = (
  name: string,
  offset: number,
  label: string,
  fields: RegisterLayout["fields"],
): RegisterLayout => ({
  name,
  offset,
  sizeBytes: 2,
  label: `${label}:`,
  fields,
});
const later = (register: RegisterLayout): RegisterLayout => ({ ...register, when: isLater });

/** Control and configuration of the link with this number; "" for the only one. */
function link(number: "" | 0 | 1, offset: number): RegisterLayout[] {
  const suffix = number === "" ? "" : ` ${number}`;
  return [
    word(`linkControl${number}`, offset, `Link Control${suffix}`, {
      crcFloodEnable: flag(1, "CFlE"),
      crcStartTest: flag(2, "CST"),
      crcForceError: flag(3, "CFE"),
      linkFailure: flag(4, "<LkFail"),
      initializationComplete: flag(5, "Init"),
      endOfChain: flag(6, "EOC"),
      transmitterOff: flag(7, "TXO"),
      crcError: hex(8, 11, 1, "<CRCErr={}"),
      isochronousFlowControlEnable: flag(12, "IsocEn", isLater),
      ldtstopTristateEnable: flag(13, "LSEn", isLater),
      extendedCtlTime: flag(14, "ExtCTL", isLater),
      addressing64BitEnable: flag(15, "64b", isLater),
    }),
    word(`linkConfiguration${number}`, offset + 2, `Link Config${suffix}`, {
      maxLinkWidthIn: choice(0, 2, "MLWI={}", WIDTHS),
      doublewordFlowControlIn: flag(3, "DwFcIn", isLater),
      maxLinkWidthOut: choice(4, 6, "MLWO={}", WIDTHS),
      doublewordFlowControlOut: flag(7, "DwFcOut", isLater),
      linkWidthIn: choice(8, 10, "LWI={}", WIDTHS),
      doublewordFlowControlInEnable: flag(11, "DwFcInEn", isLater),
      linkWidthOut: choice(12, 14, "LWO={}", WIDTHS),
      doublewordFlowControlOutEnable: flag(15, "DwFcOutEn", isLater),
    }),
  ];
}

const byte = (
  name: string,
  offset: number,
  label: string,
  fields: RegisterLayout["fields"],
): RegisterLayout => ({
  ...word(name, offset, label, fields),
  sizeBytes: 1,
});

const frequencyFlags: Readonly<Record<string, FieldLayout>> = Object.fromEntries(
  FREQUENCIES.slice(0, 10).map((name, bit) => [`supports${name.replace(".", "_")}`, flag(bit, name)]),
);

/** A link's frequency, its errors in the same byte, and the frequencies it supports. */
function frequency(number: "" | 0 | 1, offset: number): RegisterLayout[] {
  const suffix = number === "" ? "" : ` ${number}`;
  return [
    byte(`linkFrequency${number}`, offset, `Link Frequency${suffix}`, {
      linkFrequency: choice(0, 3, "{}", FREQUENCIES),
    }),
    byte(`linkError${number}`, offset, `Link Error${suffix}`, {
      protocolError: flag(4, "<Prot"),
      overflowError: flag(5, "<Ovfl"),
      endOfChainError: flag(6, "<EOC"),
      ctlTimeout: flag(7, "CTLTm"),
    }),
    word(`linkFrequencyCapability${number}`, offset + 1, `Link Frequency Capability${suffix}`, {
      ...frequencyFlags,
      vendorSpecific: flag(15, "Vend"),
    }),
  ];
}

const features = {
  isochronousFlowControlMode: flag(0, "IsocFC"),
  ldtstopSupported: flag(1, "LDTSTOP"),
  crcTestMode: flag(2, "CRCTM"),
  extendedCtlTimeRequired: flag(3, "ECTLT"),
  addressing64Bit: flag(4, "64bA"),
  unitIdReorderDisable: flag(5, "UIDRD"),
};

const errorHandling = (offset: number): RegisterLayout =>
  word("errorHandling", offset, "Error Handling", {
    protocolErrorFloodEnable: flag(0, "PFlE"),
    overflowErrorFloodEnable: flag(1, "OFlE"),
    protocolErrorFatalEnable: flag(2, "PFE"),
    overflowErrorFatalEnable: flag(3, "OFE"),
    endOfChainErrorFatalEnable: flag(4, "EOCFE"),
    responseErrorFatalEnable: flag(5, "RFE"),
    crcErrorFatalEnable: flag(6, "CRCFE"),
    systemErrorFatalEnable: flag(7, "SERRFE"),
    chainFail: flag(8, "CF"),
    responseError: flag(9, "RE"),
    protocolErrorNonfatalEnable: flag(10, "PNFE"),
    overflowErrorNonfatalEnable: flag(11, "ONFE"),
    endOfChainErrorNonfatalEnable: flag(12, "EOCNFE"),
    responseErrorNonfatalEnable: flag(13, "RNFE"),
    crcErrorNonfatalEnable: flag(14, "CRCNFE"),
    systemErrorNonfatalEnable: flag(15, "SERRNFE"),
  });

const memoryUpper = (offset: number): RegisterLayout =>
  word("memoryUpper", offset, "Prefetchable memory behind bridge Upper", {
    base: hex(0, 7, 2, "{}"),
    limit: hex(8, 15, 2, "-{}"),
  });

const revision = (offset: number): RegisterLayout =>
  byte("revision", offset, "Revision ID", { revision: number(0, 7, "{}", revisionText) });

const primary: readonly RegisterLayout[] = [
  word("primaryCommand", 2, "Command", {
    baseUnitId: number(0, 4, "BaseUnitID={}"),
    unitCount: number(5, 9, "UnitCnt={}"),
    masterHost: flag(10, "MastHost"),
    defaultDirection: flag(11, "DefDir"),
    dropOnUninitializedLink: flag(12, "DUL", isLater),
  }),
  ...link(0, 4),
  ...link(1, 8),
  revision(12),
  ...frequency(0, 13).map(later),
  later(byte("features", 16, "Feature Capability", features)),
  ...frequency(1, 17).map(later),
  later(errorHandling(22)),
  later(memoryUpper(24)),
  later(byte("busNumber", 26, "Bus Number", { busNumber: hex(0, 7, 2, "{}") })),
];

const hasExtendedSet: Condition = (scope) => isLater(scope) && scope.bits(12, 8) === 1;

const secondary: readonly RegisterLayout[] = [
  word("secondaryCommand", 2, "Command", {
    warmReset: flag(0, "WarmRst"),
    doubleEnded: flag(1, "DblEnd"),
    deviceNumber: number(2, 6, "DevNum={}", undefined, isLater),
    chainSide: flag(7, "ChainSide", isLater),
    hostHide: flag(8, "HostHide", isLater),
    actAsSlave: flag(10, "Slave", isLater),
    hostInboundEndOfChainError: flag(11, "<EOCErr", isLater),
    dropOnUninitializedLink: flag(12, "DUL", isLater),
  }),
  ...link("", 4),
  revision(8),
  ...frequency("", 9).map(later),
  later(
    word("features", 12, "Feature Capability", {
      ...features,
      extendedRegisterSet: flag(8, "ExtRS"),
      upstreamConfigurationEnable: flag(9, "UCnfE"),
    }),
  ),
  { ...errorHandling(18), when: hasExtendedSet },
  { ...memoryUpper(20), when: hasExtendedSet },
];

const INTERFACE_REGISTERS: Readonly<Record<number, readonly RegisterLayout[]>> = {
  [PRIMARY]: primary,
  [SECONDARY]: secondary,
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
        ...number(0, 7, "{}", revisionText),
        when: (scope) => typeOf(scope) === REVISION_ID,
      },
    },
  },
  notes: (scope) => {
    const isBetween = revisionOf(scope) > REVISION_0_17 && !isLater(scope);
    return INTERFACES[interfaceOf(scope)] && isBetween ? ["!!! Possibly incomplete decoding"] : [];
  },
  registers: (scope) => INTERFACE_REGISTERS[interfaceOf(scope)] ?? [mapping],
  opaqueBytes: (scope) => {
    const isDecoded = INTERFACES[interfaceOf(scope)] || isMapping(scope) || typeOf(scope) === REVISION_ID;
    return isDecoded ? 0 : Infinity;
  },
};
