/** Designated Vendor-Specific capabilities, PCIe 6.0 section 7.9.6, and those of CXL: CXL 3.0, section 8.1. */
import type { CapabilityLayout } from "./capability.ts";
import { choice, flag, hex, number, type RegisterLayout, wide } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const CXL_VENDOR = 0x1e98;
const CXL_MIN_BYTES = 16;

const vendorOf = (scope: Scope) => scope.bits(4, 0, 15);
const revisionOf = (scope: Scope) => scope.bits(4, 16, 19);
const lengthOf = (scope: Scope) => scope.bits(4, 20, 31);
const idOf = (scope: Scope) => scope.read(8, 2);
const isRevision2 = (scope: Scope) => revisionOf(scope) >= 2;
const isCxl = (scope: Scope) => vendorOf(scope) === CXL_VENDOR && lengthOf(scope) >= CXL_MIN_BYTES;

/** A 16-bit register, as most of these are. */
const word = (
  name: string,
  offset: number,
  label: string,
  fields: RegisterLayout["fields"],
): RegisterLayout => ({
  name,
  offset,
  sizeBytes: 2,
  label,
  fields,
});

const CACHE_UNITS: Readonly<Record<number, number>> = { 1: 64 << 10, 2: 1 << 20 };

function cacheSize(raw: number): string {
  const unit = raw & 0xf;
  const count = raw >>> 8;
  if (unit === 0) return "Cache Size Not Reported";
  const bytes = CACHE_UNITS[unit];
  return bytes === undefined
    ? `Cache Size: ${count} of unknown unit size (${unit})`
    : `Cache Size: ${(count * bytes).toString(16).padStart(8, "0")}`;
}

const MEDIA = ["Volatile", "Non-volatile", "CDAT"];
const CLASSES = ["DRAM", "Storage", "CDAT"];
const INTERLEAVES = ["0", "256", "4096", "512", "1024", "2048", "8192", "16384"];
const reserved = () => "<reserved>";
const address = (value: bigint) => BigInt.asUintN(64, value).toString(16).padStart(16, "0");

/** Section 8.1.3.8: size and flags first, then the base, the upper halves before the lower ones. */
function range(index: number, offset: number): RegisterLayout {
  const pair = (scope: Scope, at: number) =>
    (BigInt(scope.read(at, 4)) << 32n) | BigInt(scope.read(at + 4, 4));
  const sizeOf = (scope: Scope) => pair(scope, offset) & ~0x0fff_ffffn;
  return {
    name: `range${index}`,
    offset: offset + 4,
    sizeBytes: 4,
    label: `Range${index}:`,
    fields: {
      addresses: {
        bits: [0, 31],
        text: "{}",
        value: (_, scope) => {
          const base = pair(scope, offset + 8);
          return `${address(base)}-${address(base + sizeOf(scope) - 1n)}`;
        },
      },
      memorySizeBytes: {
        bits: [28, 31],
        text: "[size=0x{}]",
        value: (_, scope) => `0x${sizeOf(scope).toString(16)}`,
      },
      memoryInfoValid: flag(0, "\nValid"),
      memoryActive: flag(1, "Active"),
      mediaType: choice(2, 4, "Type={}", MEDIA, undefined, reserved),
      memoryClass: choice(5, 7, "Class={}", CLASSES, undefined, reserved),
      desiredInterleave: choice(8, 12, "interleave={}", INTERLEAVES, undefined, reserved),
      memoryActiveTimeoutSeconds: number(13, 15, "timeout={}s", (raw) => 4 ** raw),
    },
  };
}

/** Section 8.1.3. Revision 0, of CXL 1.1, has another layout. */
const DEVICE_BYTES = 0x38;
const DEVICE_BYTES_REVISION_2 = 0x3c;
const device: readonly RegisterLayout[] = [
  word("cxlCapability", 0x0a, "CXLCap:", {
    cacheCapable: flag(0, "Cache"),
    ioCapable: flag(1, "IO"),
    memCapable: flag(2, "Mem"),
    memHwInitMode: flag(3, "MemHWInit"),
    hdmCount: number(4, 5, "HDMCount {}"),
    viralCapable: flag(14, "Viral"),
  }),
  word("cxlControl", 0x0c, "CXLCtl:", {
    cacheEnable: flag(0, "Cache"),
    ioEnable: flag(1, "IO"),
    memEnable: flag(2, "Mem"),
    cacheSnoopFilterCoverage: number(3, 7, "CacheSFCov {}"),
    cacheSnoopFilterGranularity: number(8, 10, "CacheSFGran {}"),
    cacheCleanEviction: flag(11, "CacheClean"),
    viralEnable: flag(14, "Viral"),
  }),
  word("cxlStatus", 0x0e, "CXLSta:", { viralStatus: flag(14, "Viral") }),
  word("cxlControl2", 0x10, "CXLCtl2:", {
    disableCaching: flag(0, "DisableCaching"),
    initiateCacheWriteBackAndInvalidation: flag(1, "InitCacheWB&Inval"),
    initiateCxlReset: flag(2, "InitRst"),
    cxlResetMemClrEnable: flag(3, "RstMemClrEn"),
    desiredVolatileHdmStateAfterHotReset: flag(4, "DesiredVolatileHDMStateAfterHotReset", isRevision2),
  }),
  word("cxlStatus2", 0x12, "CXLSta2:", {
    resetComplete: flag(1, "ResetComplete"),
    resetError: flag(2, "ResetError"),
    powerManagementInitializationComplete: flag(15, "PMComplete"),
  }),
  word("cxlCapability2", 0x16, "CXLCap2:", { cacheSize: number(0, 15, "{}", cacheSize) }),
  range(1, 0x18),
  range(2, 0x28),
  {
    ...word("cxlCapability3", 0x38, "CXLCap3:", {
      defaultVolatileHdmStateAfterColdReset: flag(0, "DefaultVolatile HDM State After: ColdReset"),
      defaultVolatileHdmStateAfterWarmReset: flag(1, "WarmReset"),
      defaultVolatileHdmStateAfterHotReset: flag(2, "HotReset"),
      volatileHdmStateAfterHotResetConfigurability: flag(3, "HotResetConfigurability"),
    }),
    when: (scope) => isRevision2(scope) && lengthOf(scope) >= DEVICE_BYTES_REVISION_2,
  },
];

/** Section 8.1.4. */
const functionMap: readonly RegisterLayout[] = Array.from({ length: 8 }, (_, i) =>
  word(`nonCxlFunctionMap${i}`, 0x0c + 4 * i, `FuncMap ${i}:`, { functions: hex(0, 15, 8, "{}") }),
);

/** Section 8.1.5. */
const PORT_BYTES = 0x28;
const port: readonly RegisterLayout[] = [
  word("portExtensionStatus", 0x0a, "CXLPortSta:", {
    powerManagementInitializationComplete: flag(0, "PMComplete"),
  }),
  word("portControlExtensions", 0x0c, "CXLPortCtl:", {
    unmaskSbr: flag(0, "UnmaskSBR"),
    unmaskLinkDisable: flag(1, "UnmaskLinkDisable"),
    altMemoryAndIdSpaceEnable: flag(2, "AltMem"),
    altBme: flag(3, "AltBME"),
    viralEnable: flag(14, "ViralEnable"),
  }),
  word("alternateBus", 0x0e, "AlternateBus:", {
    base: hex(0, 7, 2, "{}"),
    limit: hex(8, 15, 2, "-{}"),
  }),
  {
    name: "alternateMemory",
    offset: 0x10,
    sizeBytes: 4,
    label: "AlternateBus:",
    fields: { base: hex(0, 15, 4, "{}"), limit: hex(16, 31, 4, "-{}") },
  },
];

/** Powers of ten from microseconds to tens of seconds: section 8.1.6. */
const TIME_UNITS = ["us", "us", "us", "ms", "ms", "ms", "s", "s"];
function time(raw: number): string {
  const base = raw & 0xf;
  const scale = (raw >>> 8) & 0xf;
  const unit = TIME_UNITS[scale];
  return unit === undefined ? `${base}<?>` : `${base * 10 ** (scale % 3)}${unit}`;
}

function persistentFlush(name: string, offset: number, label: string): RegisterLayout {
  return {
    ...word(name, offset, label, { time: number(0, 15, "{}", time) }),
    lines: (fields, scope) => {
      const scale = scope.bits(offset, 8, 11);
      const odd = scale < TIME_UNITS.length ? [] : [`Reserved time scale encoding ${scale.toString(16)}`];
      return [...odd, `${label} ${fields.time}`];
    },
  };
}

const flushPort: readonly RegisterLayout[] = [
  persistentFlush("gpfPhase1Control", 0x0c, "GPF Phase 1 Timeout:"),
  persistentFlush("gpfPhase2Control", 0x0e, "GPF Phase 2 Timeout:"),
];
const flushDevice: readonly RegisterLayout[] = [
  persistentFlush("gpfPhase2Duration", 0x0a, "GPF Phase 2 Duration:"),
  {
    name: "gpfPhase2Power",
    offset: 0x0c,
    sizeBytes: 4,
    label: "GPF Phase 2 Power:",
    fields: { phase2ActivePowerMilliwatts: number(0, 31, "{}mW") },
  },
];

const protocols = {
  cache: flag(0, "Cache"),
  io: flag(1, "IO"),
  mem: flag(2, "Mem"),
};
const flits = {
  latencyOptimized256ByteFlit: flag(13, "256BFlit", isRevision2),
  pbrFlit: flag(14, "PBRFlit", isRevision2),
};
const modes = {
  ...protocols,
  syncHeaderBypass: flag(3, "SynHdrByp"),
  driftBuffer: flag(4, "DrftBuf"),
  flit68ByteAndVh: flag(5, "68BFlit"),
  multiLogicalDevice: flag(6, "MltLogDev"),
};

/** Section 8.1.8. */
const flexBus: readonly RegisterLayout[] = [
  word("flexBusPortCapability", 0x0a, "FBCap:", {
    ...protocols,
    flit68ByteAndVh: flag(5, "68BFlit"),
    multiLogicalDevice: flag(6, "MltLogDev"),
    ...flits,
  }),
  word("flexBusPortControl", 0x0c, "FBCtl:", {
    ...modes,
    disableRcdTraining: flag(7, "RCD"),
    retimer1Present: flag(8, "Retimer1"),
    retimer2Present: flag(9, "Retimer2"),
    ...flits,
  }),
  word("flexBusPortStatus", 0x0e, "FBSta:", { ...modes, ...flits }),
  {
    name: "receivedModifiedTsData",
    offset: 0x10,
    sizeBytes: 4,
    label: "FBModTS:",
    when: (scope) => revisionOf(scope) >= 1,
    fields: { data: hex(0, 23, 6, "Received FB Data: {}") },
  },
  ...(
    [
      ["flexBusPortCapability2", 0x14, "FBCap2:"],
      ["flexBusPortControl2", 0x18, "FBCtl2:"],
    ] as const
  ).map(
    ([name, offset, label]): RegisterLayout => ({
      name,
      offset,
      sizeBytes: 4,
      label,
      when: isRevision2,
      fields: { nopHint: flag(0, "NOPHint") },
    }),
  ),
  {
    name: "flexBusPortStatus2",
    offset: 0x1c,
    sizeBytes: 4,
    label: "FBSta2:",
    when: isRevision2,
    fields: { nopHintInfo: hex(0, 1, 1, "NOPHintInfo: {}") },
  },
];
/** Bytes of revisions 0 to 2. */
const FLEX_BUS_BYTES = [0x10, 0x14, 0x20];

const BLOCK_NAMES: Readonly<Record<number, string>> = {
  1: "component registers",
  2: "BAR virtualization",
  3: "CXL device registers",
  4: "CPMU registers",
  255: "vendor-specific",
};

/** Section 8.1.9: as many blocks as the length allows. */
function registerLocator(scope: Scope): RegisterLayout[] {
  const count = Math.max(0, Math.floor((lengthOf(scope) - 0x0c) / 8));
  return Array.from({ length: count }, (_, i) => ({
    name: `registerBlock${i + 1}`,
    offset: 0x0c + 8 * i,
    sizeBytes: 8 as const,
    label: `Block${i + 1}:`,
    when: (scope: Scope) => scope.bits(0x0c + 8 * i, 8, 15) !== 0,
    fields: {
      registerBir: number(0, 2, "BIR: bar{}"),
      blockIdentifier: choice(8, 15, ", ID: {}", BLOCK_NAMES, undefined, () => "<?>"),
      offset: wide(16, 63, ", offset: {}"),
    },
  }));
}

/** Section 8.1.10: more than 16 are reserved. */
const MAX_LOGICAL_DEVICES = 16;
const multiLogicalDevice: readonly RegisterLayout[] = [
  {
    ...word("numLogicalDevices", 0x0a, "NumLogDevs:", { numLogicalDevices: number(0, 15, "{}") }),
    when: (scope) => scope.read(0x0a, 2) !== 0 && scope.read(0x0a, 2) <= MAX_LOGICAL_DEVICES,
  },
];

/** CXL's structures by DVSEC id: CXL 3.0, table 8-2. */
const STRUCTURES: Readonly<
  Record<
    number,
    {
      readonly title: string;
      readonly registers: readonly RegisterLayout[] | ((scope: Scope) => readonly RegisterLayout[]);
      /** Most bytes decoded; by default all. */
      readonly sizeBytes?: number;
    }
  >
> = {
  0: {
    title: "PCIe DVSEC for CXL Devices",
    registers: (scope) => (lengthOf(scope) >= DEVICE_BYTES && revisionOf(scope) >= 1 ? device : []),
    sizeBytes: DEVICE_BYTES_REVISION_2,
  },
  2: { title: "Non-CXL Function Map DVSEC", registers: functionMap },
  3: {
    title: "CXL Extensions DVSEC for Ports",
    registers: (scope) => (lengthOf(scope) >= PORT_BYTES ? port : []),
  },
  4: { title: "GPF DVSEC for CXL Ports", registers: flushPort },
  5: { title: "GPF DVSEC for CXL Devices", registers: flushDevice },
  7: { title: "PCIe DVSEC for Flex Bus Port", registers: flexBus, sizeBytes: FLEX_BUS_BYTES.at(-1)! },
  8: { title: "Register Locator DVSEC", registers: registerLocator },
  9: { title: "MLD DVSEC", registers: multiLogicalDevice },
  10: { title: "PCIe DVSEC for Test Capability <?>", registers: [], sizeBytes: 0 },
};
const FLEX_BUS = 7;

const unknownId = word("unknownId", 8, "Unknown ID", { dvsecId: hex(0, 15, 4, "{}") });

function cxlRegisters(scope: Scope): readonly RegisterLayout[] {
  const { registers = [unknownId] } = STRUCTURES[idOf(scope)] ?? {};
  return typeof registers === "function" ? registers(scope) : registers;
}

function cxlNotes(scope: Scope): string[] {
  const structure = STRUCTURES[idOf(scope)];
  const revision = revisionOf(scope);
  const bytes = idOf(scope) === FLEX_BUS ? FLEX_BUS_BYTES[revision] : undefined;
  const isWrong = bytes !== undefined && bytes !== lengthOf(scope);
  return [
    ...(structure ? [structure.title] : []),
    ...(isWrong ? [`<Wrong length for Revision ${revision}>`] : []),
  ];
}

function opaqueBytes(scope: Scope): number {
  const length = lengthOf(scope);
  if (!isCxl(scope)) return length || Infinity;
  const { sizeBytes = length } = STRUCTURES[idOf(scope)] ?? { sizeBytes: 0 };
  return length > sizeBytes ? length : 0;
}

export const designatedVendorSpecific: CapabilityLayout = {
  title: "Designated Vendor-Specific:",
  heading: {
    name: "designatedVendorSpecificHeader",
    offset: 4,
    sizeBytes: 8,
    label: "",
    fields: {
      dvsecVendorId: hex(0, 15, 4, "Vendor={}"),
      dvsecId: hex(32, 47, 4, "ID={}"),
      dvsecRevision: number(16, 19, "Rev={}"),
      dvsecLength: {
        ...number(20, 31, ""),
        text: (scope) => (isCxl(scope) ? "Len={}: CXL" : "Len={} <?>"),
      },
    },
  },
  notes: (scope) => (isCxl(scope) ? cxlNotes(scope) : []),
  registers: (scope) => (isCxl(scope) ? cxlRegisters(scope) : []),
  opaqueBytes,
};
