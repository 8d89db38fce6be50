/** Configuration space: offsets and bits of the standard header and the capabilities vfiokit touches. */

/** Type 0 header, PCIe 6.0 section 7.5.1. Byte offsets. */
export const Config = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION: 0x08,
  CLASS: 0x09,
  CACHE_LINE_SIZE: 0x0c,
  LATENCY_TIMER: 0x0d,
  HEADER_TYPE: 0x0e,
  BIST: 0x0f,
  BAR0: 0x10,
  SUBSYSTEM_VENDOR_ID: 0x2c,
  SUBSYSTEM_ID: 0x2e,
  EXPANSION_ROM: 0x30,
  CAPABILITIES: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
  MIN_GRANT: 0x3e,
  MAX_LATENCY: 0x3f,
} as const;

/** Where a bridge's header (type 1) differs, PCIe 6.0 section 7.5.1.3. */
export const BridgeConfig = {
  PRIMARY_BUS: 0x18,
  SECONDARY_BUS: 0x19,
  SUBORDINATE_BUS: 0x1a,
  SECONDARY_LATENCY_TIMER: 0x1b,
  IO_BASE: 0x1c,
  IO_LIMIT: 0x1d,
  SECONDARY_STATUS: 0x1e,
  MEMORY_BASE: 0x20,
  MEMORY_LIMIT: 0x22,
  PREFETCHABLE_BASE: 0x24,
  PREFETCHABLE_LIMIT: 0x26,
  PREFETCHABLE_BASE_UPPER: 0x28,
  PREFETCHABLE_LIMIT_UPPER: 0x2c,
  IO_BASE_UPPER: 0x30,
  IO_LIMIT_UPPER: 0x32,
  EXPANSION_ROM: 0x38,
  BRIDGE_CONTROL: 0x3e,
} as const;

/** Where a CardBus bridge's header (type 2) differs, PC Card Standard 8.0, volume 3, section 5. */
export const CardBusConfig = {
  CAPABILITIES: 0x14,
  SECONDARY_STATUS: 0x16,
  PRIMARY_BUS: 0x18,
  CARD_BUS: 0x19,
  SUBORDINATE_BUS: 0x1a,
  LATENCY_TIMER: 0x1b,
  MEMORY_BASE_0: 0x1c,
  MEMORY_LIMIT_0: 0x20,
  IO_BASE_0: 0x2c,
  BRIDGE_CONTROL: 0x3e,
  SUBSYSTEM_VENDOR_ID: 0x40,
  SUBSYSTEM_ID: 0x42,
  LEGACY_MODE_BASE: 0x44,
} as const;

/** A 16-bit read of a function that does not answer: it is gone, or its link is down. */
export const ALL_ONES = 0xffff;

/** Size of a PCI Express function's configuration space. */
export const CONFIG_BYTES = 4096;

/** Command register, PCIe 6.0 section 7.5.1.1.3. */
export const Command = { IO: 1 << 0, MEMORY: 1 << 1, BUS_MASTER: 1 << 2, INTX_DISABLE: 1 << 10 } as const;

/** Command's reserved bits, 0 in every function. */
const COMMAND_RESERVED = 0xf800;

/**
 * Whether this value of Command means that the function does not answer: reads then give all ones (PCIe 6.0,
 * section 2.3.2). The vendor id is no proof: a virtual function's is 0xffff by specification (section
 * 9.3.4.1.1), and VFIO answers it from memory. VFIO does the same for INTx Disable, so only the reserved bits
 * count.
 */
export function isSilentCommand(command: number): boolean {
  return (command & COMMAND_RESERVED) === COMMAND_RESERVED;
}

/** Status register, PCIe 6.0 section 7.5.1.1.4. */
export const Status = { INTERRUPT: 1 << 3, CAPABILITIES: 1 << 4 } as const;

/** Capability ids, PCI Code and ID Assignment 1.16, section 2. */
export const CapabilityId = {
  POWER_MANAGEMENT: 0x01,
  MSI: 0x05,
  PCI_X: 0x07,
  BRIDGE_SUBSYSTEM: 0x0d,
  VENDOR_SPECIFIC: 0x09,
  EXPRESS: 0x10,
  MSIX: 0x11,
} as const;

/** Extended capability ids, the same document, section 3. */
export const ExtendedCapabilityId = { AER: 0x0001, SERIAL_NUMBER: 0x0003 } as const;
