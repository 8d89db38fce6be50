/** Names by which registers of configuration space can be asked for, as setpci and the decoder have them. */
import { BridgeConfig, CardBusConfig, Config } from "../config-offsets.ts";
import { extendedAbbreviations, standardAbbreviations } from "./capabilities/abbreviations.ts";
import { type CapabilityTable, nameOf } from "./capabilities/capability.ts";
import { extendedCapabilities, standardCapabilities } from "./capabilities/table.ts";

/** A register of the header. */
export interface HeaderRegister {
  /** setpci's name. */
  readonly name: string;
  readonly offset: number;
  readonly sizeBytes: 1 | 2 | 4;
  /** Header types that have it: 0 endpoint, 1 bridge, 2 CardBus bridge. */
  readonly headerTypes: readonly number[];
  /** Its name elsewhere in this package, if that is another one. */
  readonly also?: string;
}

type Row = readonly [name: string, offset: number, sizeBytes: 1 | 2 | 4, also?: string];

const inHeaders = (headerTypes: readonly number[], rows: readonly Row[]): HeaderRegister[] =>
  rows.map(([name, offset, sizeBytes, also]) => ({
    name,
    offset,
    sizeBytes,
    headerTypes,
    ...(also && { also }),
  }));

const bars = (from: number, to: number): Row[] =>
  Array.from({ length: to - from + 1 }, (_, i) => [
    `BASE_ADDRESS_${from + i}`,
    Config.BAR0 + (from + i) * 4,
    4,
    `BAR${from + i}`,
  ]);

/** PCIe 6.0, section 7.5.1; PC Card Standard 8.0, volume 3, section 5. By offset within a type of header. */
export const headerRegisters: readonly HeaderRegister[] = [
  ...inHeaders(
    [0, 1, 2],
    [
      ["VENDOR_ID", Config.VENDOR_ID, 2],
      ["DEVICE_ID", Config.DEVICE_ID, 2],
      ["COMMAND", Config.COMMAND, 2],
      ["STATUS", Config.STATUS, 2],
      ["REVISION", Config.REVISION, 1],
      ["CLASS_PROG", Config.CLASS, 1],
      ["CLASS_DEVICE", Config.CLASS + 1, 2],
      ["CACHE_LINE_SIZE", Config.CACHE_LINE_SIZE, 1],
      ["LATENCY_TIMER", Config.LATENCY_TIMER, 1],
      ["HEADER_TYPE", Config.HEADER_TYPE, 1],
      ["BIST", Config.BIST, 1],
    ],
  ),
  ...inHeaders([0, 1], bars(0, 1)),
  ...inHeaders(
    [0],
    [
      ...bars(2, 5),
      ["CARDBUS_CIS", 0x28, 4],
      ["SUBSYSTEM_VENDOR_ID", Config.SUBSYSTEM_VENDOR_ID, 2],
      ["SUBSYSTEM_ID", Config.SUBSYSTEM_ID, 2],
      ["ROM_ADDRESS", Config.EXPANSION_ROM, 4],
    ],
  ),
  ...inHeaders(
    [1],
    [
      ["PRIMARY_BUS", BridgeConfig.PRIMARY_BUS, 1],
      ["SECONDARY_BUS", BridgeConfig.SECONDARY_BUS, 1],
      ["SUBORDINATE_BUS", BridgeConfig.SUBORDINATE_BUS, 1],
      ["SEC_LATENCY_TIMER", BridgeConfig.SECONDARY_LATENCY_TIMER, 1, "secondaryLatencyTimer"],
      ["IO_BASE", BridgeConfig.IO_BASE, 1],
      ["IO_LIMIT", BridgeConfig.IO_LIMIT, 1],
      ["SEC_STATUS", BridgeConfig.SECONDARY_STATUS, 2, "secondaryStatus"],
      ["MEMORY_BASE", BridgeConfig.MEMORY_BASE, 2],
      ["MEMORY_LIMIT", BridgeConfig.MEMORY_LIMIT, 2],
      ["PREF_MEMORY_BASE", BridgeConfig.PREFETCHABLE_BASE, 2],
      ["PREF_MEMORY_LIMIT", BridgeConfig.PREFETCHABLE_LIMIT, 2],
      ["PREF_BASE_UPPER32", BridgeConfig.PREFETCHABLE_BASE_UPPER, 4],
      ["PREF_LIMIT_UPPER32", BridgeConfig.PREFETCHABLE_LIMIT_UPPER, 4],
      ["IO_BASE_UPPER16", BridgeConfig.IO_BASE_UPPER, 2],
      ["IO_LIMIT_UPPER16", BridgeConfig.IO_LIMIT_UPPER, 2],
      ["BRIDGE_ROM_ADDRESS", BridgeConfig.EXPANSION_ROM, 4],
    ],
  ),
  ...inHeaders(
    [2],
    [
      ["CB_CARDBUS_BASE", Config.BAR0, 4],
      ["CB_CAPABILITIES", CardBusConfig.CAPABILITIES, 2],
      ["CB_SEC_STATUS", CardBusConfig.SECONDARY_STATUS, 2, "secondaryStatus"],
      ["CB_BUS_NUMBER", CardBusConfig.PRIMARY_BUS, 1],
      ["CB_CARDBUS_NUMBER", CardBusConfig.CARD_BUS, 1],
      ["CB_SUBORDINATE_BUS", CardBusConfig.SUBORDINATE_BUS, 1],
      ["CB_CARDBUS_LATENCY", CardBusConfig.LATENCY_TIMER, 1],
      ["CB_MEMORY_BASE_0", CardBusConfig.MEMORY_BASE_0, 4],
      ["CB_MEMORY_LIMIT_0", CardBusConfig.MEMORY_LIMIT_0, 4],
      ["CB_MEMORY_BASE_1", CardBusConfig.MEMORY_BASE_0 + 8, 4],
      ["CB_MEMORY_LIMIT_1", CardBusConfig.MEMORY_LIMIT_0 + 8, 4],
      ["CB_IO_BASE_0", CardBusConfig.IO_BASE_0, 2],
      ["CB_IO_BASE_0_HI", CardBusConfig.IO_BASE_0 + 2, 2],
      ["CB_IO_LIMIT_0", CardBusConfig.IO_BASE_0 + 4, 2],
      ["CB_IO_LIMIT_0_HI", CardBusConfig.IO_BASE_0 + 6, 2],
      ["CB_IO_BASE_1", CardBusConfig.IO_BASE_0 + 8, 2],
      ["CB_IO_BASE_1_HI", CardBusConfig.IO_BASE_0 + 10, 2],
      ["CB_IO_LIMIT_1", CardBusConfig.IO_BASE_0 + 12, 2],
      ["CB_IO_LIMIT_1_HI", CardBusConfig.IO_BASE_0 + 14, 2],
    ],
  ),
  ...inHeaders([0, 1], [["CAPABILITIES", Config.CAPABILITIES, 1]]),
  ...inHeaders(
    [0, 1, 2],
    [
      ["INTERRUPT_LINE", Config.INTERRUPT_LINE, 1],
      ["INTERRUPT_PIN", Config.INTERRUPT_PIN, 1],
    ],
  ),
  ...inHeaders(
    [0],
    [
      ["MIN_GNT", Config.MIN_GRANT, 1],
      ["MAX_LAT", Config.MAX_LATENCY, 1],
    ],
  ),
  ...inHeaders([1, 2], [["BRIDGE_CONTROL", BridgeConfig.BRIDGE_CONTROL, 2]]),
  ...inHeaders(
    [2],
    [
      ["CB_SUBSYSTEM_VENDOR_ID", CardBusConfig.SUBSYSTEM_VENDOR_ID, 2],
      ["CB_SUBSYSTEM_ID", CardBusConfig.SUBSYSTEM_ID, 2],
      ["CB_LEGACY_MODE_BASE", CardBusConfig.LEGACY_MODE_BASE, 4],
    ],
  ),
];

/** A kind of capability. */
export interface CapabilityKind {
  readonly id: number;
  readonly extended: boolean;
  /** CAP_EXP, ECAP_AER; CAP7f if it has no name. */
  readonly shortName: string;
  /** The decoder's name; undefined if it does not know the kind. */
  readonly name?: string;
}

/** A kind by its id, known or not. */
export function capabilityKind(extended: boolean, id: number): CapabilityKind {
  const abbreviation = (extended ? extendedAbbreviations : standardAbbreviations)[id];
  const layout = (extended ? extendedCapabilities : standardCapabilities)[id];
  const prefix = extended ? "ECAP" : "CAP";
  return {
    id,
    extended,
    shortName: abbreviation === undefined ? `${prefix}${id.toString(16)}` : `${prefix}_${abbreviation}`,
    ...(layout && { name: nameOf(layout) }),
  };
}

const kindsOf = (table: CapabilityTable, extended: boolean) =>
  Object.keys(table).map((id) => capabilityKind(extended, Number(id)));

/** All that the decoder knows. */
export const capabilityKinds: readonly CapabilityKind[] = [
  ...kindsOf(standardCapabilities, false),
  ...kindsOf(extendedCapabilities, true),
];

/** Without what people write differently: case, spaces and signs. */
export function folded(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}
