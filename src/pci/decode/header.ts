/**
 * The header of configuration space: PCIe 6.0, section 7.5.1. Registers special to type 2 are in cardbus.ts.
 */

import { BridgeConfig, CardBusConfig, Command, Config } from "../config-offsets.ts";
import type { DecodedBridge, DecodedWindow } from "./bridge.ts";
import {
  choice,
  type DecodedRegister,
  decodeRegister,
  flag,
  type RegisterLayout,
} from "./capabilities/register-layout.ts";
import { type Scope, scopeAt } from "./capabilities/scope.ts";
import { cardBusRegisters, decodeCardBus } from "./cardbus.ts";

const DEVSEL = ["fast", "medium", "slow", "??"];

const command: RegisterLayout = {
  name: "command",
  offset: Config.COMMAND,
  sizeBytes: 2,
  label: "Control:",
  fields: {
    ioSpaceEnable: flag(0, "I/O"),
    memorySpaceEnable: flag(1, "Mem"),
    busMasterEnable: flag(2, "BusMaster"),
    specialCycleEnable: flag(3, "SpecCycle"),
    memoryWriteAndInvalidate: flag(4, "MemWINV"),
    vgaPaletteSnoop: flag(5, "VGASnoop"),
    parityErrorResponse: flag(6, "ParErr"),
    idselSteppingWaitCycleControl: flag(7, "Stepping"),
    serrEnable: flag(8, "SERR"),
    fastBackToBackTransactionsEnable: flag(9, "FastB2B"),
    interruptDisable: flag(10, "DisINTx"),
  },
};

const errors = {
  masterDataParityError: flag(8, "ParErr"),
  devselTiming: choice(9, 10, "DEVSEL={}", DEVSEL),
  signaledTargetAbort: flag(11, ">TAbort"),
  receivedTargetAbort: flag(12, "<TAbort"),
  receivedMasterAbort: flag(13, "<MAbort"),
};

const status: RegisterLayout = {
  name: "status",
  offset: Config.STATUS,
  sizeBytes: 2,
  label: "Status:",
  fields: {
    capabilitiesList: flag(4, "Cap"),
    capable66Mhz: flag(5, "66MHz"),
    userDefinableFeatures: flag(6, "UDF"),
    fastBackToBackCapable: flag(7, "FastB2B"),
    ...errors,
    signaledSystemError: flag(14, ">SERR"),
    detectedParityError: flag(15, "<PERR"),
    interruptStatus: flag(3, "INTx"),
  },
};

const secondaryStatus: RegisterLayout = {
  name: "secondaryStatus",
  offset: BridgeConfig.SECONDARY_STATUS,
  sizeBytes: 2,
  label: "Secondary status:",
  fields: {
    capable66Mhz: flag(5, "66MHz"),
    fastBackToBackCapable: flag(7, "FastB2B"),
    ...errors,
    receivedSystemError: flag(14, "<SERR"),
    detectedParityError: flag(15, "<PERR"),
  },
};

const bridgeControl: RegisterLayout = {
  name: "bridgeControl",
  offset: BridgeConfig.BRIDGE_CONTROL,
  sizeBytes: 2,
  label: "BridgeCtl:",
  fields: {
    parityErrorResponseEnable: flag(0, "Parity"),
    serrEnable: flag(1, "SERR"),
    isaEnable: flag(2, "NoISA"),
    vgaEnable: flag(3, "VGA"),
    vga16BitDecode: flag(4, "VGA16"),
    masterAbortMode: flag(5, "MAbort"),
    secondaryBusReset: flag(6, ">Reset"),
    fastBackToBackTransactionsEnable: flag(7, "FastB2B"),
    primaryDiscardTimer: flag(8, "\nPriDiscTmr"),
    secondaryDiscardTimer: flag(9, "SecDiscTmr"),
    discardTimerStatus: flag(10, "DiscTmrStat"),
    discardTimerSerrEnable: flag(11, "DiscTmrSERREn"),
  },
};

/** What another source knows of a region, such as its size: the header has only its address. */
export interface KnownRegion {
  /** The kernel's address; by default the header's. */
  readonly address?: bigint;
  readonly sizeBytes: number;
  /** The kernel's type of the region, used instead of the header's: the header may hide the region. */
  readonly type?: { readonly io: boolean; readonly is64Bit: boolean; readonly prefetchable: boolean };
}

/** A region of addresses that the function decodes. */
export interface DecodedRegion {
  readonly index: number;
  readonly space: "memory" | "io";
  /** Hexadecimal; null if none is assigned. */
  readonly address: string | null;
  readonly type: "32-bit" | "64-bit" | "low-1M" | "type 3" | "io";
  readonly prefetchable: boolean;
  /** The Command register's enable bit for its space. */
  readonly enabled: boolean;
  /** Undefined if unknown: the header does not have it. */
  readonly sizeBytes?: number;
  /** Whether the kernel has an address for it that the device does not have. */
  readonly virtual?: boolean;
}

interface DecodedRom {
  readonly address: string | null;
  readonly enabled: boolean;
  readonly sizeBytes?: number;
}

/** The header: the first 64 bytes of configuration space. */
export interface DecodedHeader {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  readonly revision: number;
  /** 24 bits: base class, subclass, programming interface. */
  readonly classCode: number;
  /** 0 endpoint, 1 bridge, 2 CardBus bridge. */
  readonly headerType: number;
  readonly multiFunction: boolean;
  /** Command and status; for a bridge also secondary status and bridge control. */
  readonly registers: readonly DecodedRegister[];
  readonly cacheLineBytes: number;
  readonly latencyTimer: number;
  /** Built-in self test: running, or its result; undefined without one. */
  readonly bist?: { readonly running: boolean; readonly code: number };
  readonly minGrantNs: number;
  readonly maxLatencyNs: number;
  /** A to D, or ? for an invalid number; null for a function without INTx. */
  readonly interruptPin: string | null;
  readonly interruptLine: number;
  readonly regions: readonly DecodedRegion[];
  readonly expansionRom?: DecodedRom;
  readonly bridge?: DecodedBridge;
}

const hexAddress = (address: bigint) => `0x${address.toString(16)}`;
const ONES = 0xffff_ffff;
const MEMORY_TYPES = ["32-bit", "low-1M", "64-bit", "type 3"] as const;

export function decodeHeader(bytes: Uint8Array, known: readonly KnownRegion[] = []): DecodedHeader {
  const scope = headerScope(bytes);
  const { headerType } = scope;
  const endpoint = headerType === 0;
  const bist = scope.read(Config.BIST, 1);
  const pin = scope.read(Config.INTERRUPT_PIN, 1);
  const rom = decodeRom(scope, known[6]);
  const cardBus = headerType === 2;
  // A CardBus bridge has it beyond the 64 bytes that anyone may read.
  const subsystemAt = cardBus ? CardBusConfig.SUBSYSTEM_VENDOR_ID : Config.SUBSYSTEM_VENDOR_ID;
  return {
    vendorId: scope.vendor,
    deviceId: scope.device,
    ...((endpoint || cardBus) &&
      scope.has(subsystemAt, 4) && {
        subsystemVendorId: scope.read(subsystemAt, 2),
        subsystemId: scope.read(subsystemAt + 2, 2),
      }),
    revision: scope.read(Config.REVISION, 1),
    classCode: scope.bits(Config.REVISION, 8, 31),
    headerType,
    multiFunction: scope.bits(Config.CACHE_LINE_SIZE, 23) === 1,
    registers: headerLayouts(headerType).flatMap((table) => decodeRegister(table, scope) ?? []),
    cacheLineBytes: scope.read(Config.CACHE_LINE_SIZE, 1) * 4,
    latencyTimer: scope.read(Config.LATENCY_TIMER, 1),
    ...(bist & 0x80 && { bist: { running: (bist & 0x40) !== 0, code: bist & 0xf } }),
    // In units of 250 ns.
    minGrantNs: endpoint ? scope.read(Config.MIN_GRANT, 1) * 250 : 0,
    maxLatencyNs: endpoint ? scope.read(Config.MAX_LATENCY, 1) * 250 : 0,
    interruptPin: pin === 0 ? null : (PINS[pin] ?? "?"),
    interruptLine: scope.read(Config.INTERRUPT_LINE, 1),
    regions: decodeRegions(scope, known),
    ...(rom && { expansionRom: rom }),
    ...(headerType === 1 && { bridge: decodeBridge(scope) }),
    ...(cardBus && { bridge: decodeCardBus(scope) }),
  };
}

/** The header of a function that does not answer, without its registers, which mean nothing. */
export function silentHeader(bytes: Uint8Array): DecodedHeader {
  const { bist: _, ...header } = decodeHeader(bytes);
  return { ...header, registers: [], interruptPin: null };
}

/** Registers of a header of this type whose fields are known. */
export function headerLayouts(headerType: number): readonly RegisterLayout[] {
  if (headerType === 1) return [command, status, secondaryStatus, bridgeControl];
  return headerType === 2 ? [command, status, ...cardBusRegisters] : [command, status];
}

const PINS = ["", "A", "B", "C", "D"];

function headerScope(bytes: Uint8Array): Scope {
  const raw = scopeAt(bytes, 0, {
    vendor: 0,
    device: 0,
    headerType: 0,
    portType: undefined,
    hasMemoryBar: false,
  });
  return {
    ...raw,
    vendor: raw.read(Config.VENDOR_ID, 2),
    device: raw.read(Config.DEVICE_ID, 2),
    headerType: raw.read(Config.HEADER_TYPE, 1) & 0x7f,
  };
}

/** BARs of each header type. */
const BAR_COUNT: Readonly<Record<number, number>> = { 0: 6, 1: 2, 2: 1 };

/** Section 7.5.1.2.1. */
function decodeRegions(scope: Scope, known: readonly KnownRegion[]): DecodedRegion[] {
  const regions: DecodedRegion[] = [];
  const count = BAR_COUNT[scope.headerType] ?? 0;
  const enabledBits = scope.read(Config.COMMAND, 2);
  for (let index = 0; index < count; index++) {
    const offset = Config.BAR0 + index * 4;
    const low = scope.read(offset, 4);
    const { address: kernel, sizeBytes = 0, type } = known[index] ?? {};
    const lost = low === ONES;
    if ((low === 0 || lost) && sizeBytes === 0) continue;

    const io = type?.io ?? (low & 1) === 1;
    const code = (low >>> 1) & 3;
    const is64Bit = type?.is64Bit ?? (!io && code === 2);
    const pair = is64Bit && index + 1 < count;
    const mask = io ? 0xffff_fffcn : 0xffff_fff0n;
    const upper = pair ? BigInt(scope.read(offset + 4, 4)) << 32n : 0n;
    const programmed = lost ? 0n : (BigInt(low) & mask) | upper;
    const address = kernel ?? programmed;
    regions.push({
      index,
      space: io ? "io" : "memory",
      address: address === 0n ? null : hexAddress(address),
      type: io ? "io" : type ? (is64Bit ? "64-bit" : "32-bit") : MEMORY_TYPES[code]!,
      prefetchable: !io && (type?.prefetchable ?? (low & 8) !== 0),
      enabled: (enabledBits & (io ? Command.IO : Command.MEMORY)) !== 0,
      ...(sizeBytes > 0 && { sizeBytes }),
      ...(kernel && programmed === 0n && { virtual: true }),
    });
    if (pair) index++;
  }
  return regions;
}

/** Section 7.5.1.2.4. */
function decodeRom(scope: Scope, known: KnownRegion | undefined): DecodedRom | undefined {
  if (scope.headerType > 1) return undefined;
  const register = scope.read(scope.headerType === 1 ? BridgeConfig.EXPANSION_ROM : Config.EXPANSION_ROM, 4);
  const sizeBytes = known?.sizeBytes ?? 0;
  if ((register === 0 || register === ONES) && sizeBytes === 0) return undefined;
  const address = known?.address ?? BigInt(register) & 0xffff_f800n;
  return {
    address: address === 0n ? null : hexAddress(address),
    enabled: (register & 1) === 1,
    ...(sizeBytes > 0 && { sizeBytes }),
  };
}

function decodeBridge(scope: Scope): DecodedBridge {
  const at = BridgeConfig;
  const window = (
    kind: DecodedWindow["kind"],
    addressBits: DecodedWindow["addressBits"],
    base: bigint,
    limit: bigint,
  ): DecodedWindow => {
    const digits = addressBits / 4;
    const hex = (value: bigint) => `0x${value.toString(16).padStart(digits, "0")}`;
    return { kind, base: hex(base), limit: hex(limit), addressBits, enabled: base <= limit };
  };
  const upper = (offset: number, sizeBytes: 2 | 4, shift: bigint, wide: boolean) =>
    wide ? BigInt(scope.read(offset, sizeBytes)) << shift : 0n;
  // The low four bits give the width of the window's addresses; the others are address bits.
  const io32 = (scope.read(at.IO_BASE, 1) & 0xf) === 1;
  const io = (offset: number, upperOffset: number) =>
    (BigInt(scope.read(offset, 1) & 0xf0) << 8n) | upper(upperOffset, 2, 16n, io32);
  const memory = (offset: number) => BigInt(scope.read(offset, 2) & 0xfff0) << 16n;
  const wide = (scope.read(at.PREFETCHABLE_BASE, 2) & 0xf) === 1;
  return {
    primaryBus: scope.read(at.PRIMARY_BUS, 1),
    secondaryBus: scope.read(at.SECONDARY_BUS, 1),
    subordinateBus: scope.read(at.SUBORDINATE_BUS, 1),
    secondaryLatencyTimer: scope.read(at.SECONDARY_LATENCY_TIMER, 1),
    windows: [
      window(
        "io",
        io32 ? 32 : 16,
        io(at.IO_BASE, at.IO_BASE_UPPER),
        io(at.IO_LIMIT, at.IO_LIMIT_UPPER) | 0xfffn,
      ),
      window("memory", 32, memory(at.MEMORY_BASE), memory(at.MEMORY_LIMIT) | 0xf_ffffn),
      window(
        "prefetchable",
        wide ? 64 : 32,
        memory(at.PREFETCHABLE_BASE) | upper(at.PREFETCHABLE_BASE_UPPER, 4, 32n, wide),
        memory(at.PREFETCHABLE_LIMIT) | upper(at.PREFETCHABLE_LIMIT_UPPER, 4, 32n, wide) | 0xf_ffffn,
      ),
    ],
  };
}
