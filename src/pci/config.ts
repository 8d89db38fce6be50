/** Configuration space: offsets and bits of the standard header and the capabilities vfiokit touches. */

/** Type 0 header, PCIe 6.0 section 7.5.1. Byte offsets. */
export const Config = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  CLASS: 0x09,
  HEADER_TYPE: 0x0e,
  BAR0: 0x10,
  SUBSYSTEM_VENDOR_ID: 0x2c,
  SUBSYSTEM_ID: 0x2e,
  CAPABILITIES: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

/** Bytes of the whole space of a PCI Express function. */
export const CONFIG_BYTES = 4096;

/** Command register, PCIe 6.0 section 7.5.1.1.3. */
export const Command = { IO: 1 << 0, MEMORY: 1 << 1, BUS_MASTER: 1 << 2, INTX_DISABLE: 1 << 10 } as const;

/** Status register, PCIe 6.0 section 7.5.1.1.4. */
export const Status = { INTERRUPT: 1 << 3, CAPABILITIES: 1 << 4 } as const;

/** Capability ids, PCI Code and ID Assignment 1.16, section 2. */
export const CapabilityId = { POWER_MANAGEMENT: 0x01, MSI: 0x05, EXPRESS: 0x10, MSIX: 0x11 } as const;

/** Extended capability ids, the same document, section 3. */
export const ExtendedCapabilityId = { AER: 0x0001 } as const;
