/**
 * A device model's configuration space: its bytes, and for each bit whether software may write it or clear it
 * by writing one. Built from a header and a list of capabilities; PCIe 6.0, section 7.5.
 */
import {
  CapabilityId,
  CONFIG_BYTES,
  Command,
  Config,
  ExtendedCapabilityId,
  Status,
} from "../pci/config-offsets.ts";

/** Some bytes in the power-on state. Masks are as wide as the value; bits in neither mask are read-only. */
interface Layout {
  readonly offset: number;
  readonly value: number;
  readonly bytes: 1 | 2 | 4;
  readonly writable?: number;
  /** Bits that writing one clears. */
  readonly clearable?: number;
}

/** A capability: its id and its registers, with offsets from its own start. */
export interface Capability {
  readonly id: number;
  readonly offset: number;
  /** Version of an extended capability (offset 0x100 and up). */
  readonly version?: number;
  readonly registers: readonly Layout[];
}

/** Section 7.5.1.2.1. */
export interface BarType {
  /** In I/O space, not memory. */
  readonly io?: boolean | undefined;
  /** Takes the next BAR, too, for the upper half of its address. */
  readonly addressBits?: 32 | 64 | undefined;
  readonly prefetchable?: boolean | undefined;
}

/** What a function's configuration space has. */
export interface ConfigSpaceOptions {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystem: number;
  /** Base class, subclass and interface, e.g. 0x058000. */
  readonly classCode: number;
  /** Sizes of memory BARs; a power of two each, 0 for none, and for the one that holds the upper half of the one before. */
  readonly barBytes: readonly number[];
  /** What each is beyond a 32-bit one. */
  readonly barTypes?: readonly (BarType | undefined)[];
  /** 0 none, 1 INTA#. */
  readonly interruptPin: number;
  readonly capabilities: readonly Capability[];
}

/** Power Management, version 3, no wake-up, no D1 or D2, keeps its state in D3hot. Section 7.5.2. */
export function powerManagement(offset: number): Capability {
  return {
    id: CapabilityId.POWER_MANAGEMENT,
    offset,
    registers: [
      { offset: 2, bytes: 2, value: 0x0003 },
      { offset: 4, bytes: 2, value: 0x0008, writable: 0x0003 },
    ],
  };
}

/** MSI with a 64-bit address and no masking; `vectors` is a power of two up to 32. Section 7.7.1. */
export function msi(offset: number, vectors = 1): Capability {
  const capable = Math.log2(vectors) << 1;
  return {
    id: CapabilityId.MSI,
    offset,
    registers: [
      { offset: 2, bytes: 2, value: 0x0080 | capable, writable: vectors > 1 ? 0x0071 : 0x0001 },
      { offset: 4, bytes: 4, value: 0, writable: 0xffff_fffc },
      { offset: 8, bytes: 4, value: 0, writable: 0xffff_ffff },
      { offset: 12, bytes: 2, value: 0, writable: 0xffff },
    ],
  };
}

/** MSI-X with its table at the start of a BAR and its pending bits behind. Section 7.7.2. */
export function msix(offset: number, vectors: number, bar: number, pendingOffset: number): Capability {
  return {
    id: CapabilityId.MSIX,
    offset,
    registers: [
      { offset: 2, bytes: 2, value: vectors - 1, writable: 0xc000 },
      { offset: 4, bytes: 4, value: bar },
      { offset: 8, bytes: 4, value: pendingOffset | bar },
    ],
  };
}

/** Offsets in the PCI Express capability, section 7.5.3. */
const Express = { DEVICE_CONTROL: 8, DEVICE_STATUS: 10 } as const;
const INITIATE_FLR = 1 << 15;
const FLR_CAPABLE = 1 << 28;
const UNSUPPORTED_REQUEST_DETECTED = 1 << 3;
const NON_FATAL_DETECTED = 1 << 1;

/** "integrated": a Root Complex Integrated Endpoint, which has no link. */
export type ExpressType = "endpoint" | "integrated";

/**
 * PCI Express, version 2: payloads of 512 bytes, role-based errors, completion timeout range B. An endpoint's link is one lane of
 * 2.5 GT/s. Section 7.5.3.
 */
export function pciExpress(offset: number, type: ExpressType, functionLevelReset: boolean): Capability {
  const link = [
    { offset: 0x0c, bytes: 4, value: 0x0000_0011 },
    { offset: 0x10, bytes: 2, value: 0, writable: 0x00c3 },
    { offset: 0x12, bytes: 2, value: 0x0011 },
  ] as const;
  return {
    id: CapabilityId.EXPRESS,
    offset,
    registers: [
      { offset: 2, bytes: 2, value: type === "integrated" ? 0x0092 : 0x0002 },
      ...(type === "endpoint" ? link : []),
      { offset: 4, bytes: 4, value: 0x0000_8002 + (functionLevelReset ? FLR_CAPABLE : 0) },
      { offset: Express.DEVICE_CONTROL, bytes: 2, value: 0x283e, writable: 0x78ff },
      { offset: Express.DEVICE_STATUS, bytes: 2, value: 0, clearable: 0x000f },
      { offset: 0x24, bytes: 4, value: 0x0000_0012 },
      { offset: 0x28, bytes: 2, value: 0x0006, writable: 0x001f },
    ],
  };
}

/** Bytes of the vendor's own, behind the capability's length byte. Section 7.9.4. */
export function vendorSpecific(offset: number, bytes: Uint8Array): Capability {
  return {
    id: CapabilityId.VENDOR_SPECIFIC,
    offset,
    registers: [
      { offset: 2, bytes: 1, value: 3 + bytes.byteLength },
      ...Array.from(bytes, (value, i) => ({ offset: 3 + i, bytes: 1, value }) as const),
    ],
  };
}

/** Device Serial Number, 64 bits. Section 7.9.3. */
export function serialNumber(offset: number, serial: bigint): Capability {
  return {
    id: ExtendedCapabilityId.SERIAL_NUMBER,
    offset,
    version: 1,
    registers: [
      { offset: 4, bytes: 4, value: Number(BigInt.asUintN(32, serial)) },
      { offset: 8, bytes: 4, value: Number(BigInt.asUintN(32, serial >> 32n)) },
    ],
  };
}

/** Offsets in the Advanced Error Reporting capability, section 7.8.4. */
const Aer = { UNCORRECTABLE_STATUS: 4, UNCORRECTABLE_MASK: 8, CONTROL: 0x18 } as const;
const UNCORRECTABLE_BITS = 0x001f_f030;
const CORRECTABLE_BITS = 0x0000_f1c1;

/** Advanced Error Reporting, version 2. Section 7.8.4. */
export function advancedErrorReporting(offset: number): Capability {
  return {
    id: ExtendedCapabilityId.AER,
    offset,
    version: 2,
    registers: [
      { offset: Aer.UNCORRECTABLE_STATUS, bytes: 4, value: 0, clearable: UNCORRECTABLE_BITS },
      { offset: Aer.UNCORRECTABLE_MASK, bytes: 4, value: 0x0001_8000, writable: UNCORRECTABLE_BITS },
      { offset: 0x0c, bytes: 4, value: 0x0006_7030, writable: UNCORRECTABLE_BITS },
      { offset: 0x10, bytes: 4, value: 0, clearable: CORRECTABLE_BITS },
      { offset: 0x14, bytes: 4, value: 0x0000_31c1, writable: CORRECTABLE_BITS },
    ],
  };
}

function header(options: ConfigSpaceOptions): Layout[] {
  return [
    { offset: Config.VENDOR_ID, bytes: 2, value: options.vendor },
    { offset: Config.DEVICE_ID, bytes: 2, value: options.device },
    {
      offset: Config.COMMAND,
      bytes: 2,
      value: 0,
      writable:
        Command.MEMORY |
        (options.barTypes?.some((type) => type?.io) ? Command.IO : 0) |
        Command.BUS_MASTER |
        Command.INTX_DISABLE |
        0x0140,
    },
    { offset: Config.STATUS, bytes: 2, value: Status.CAPABILITIES, clearable: 0xf900 },
    { offset: Config.CLASS, bytes: 1, value: options.classCode & 0xff },
    { offset: Config.CLASS + 1, bytes: 2, value: options.classCode >>> 8 },
    { offset: 0x0c, bytes: 1, value: 0, writable: 0xff },
    ...barLayouts(options),
    { offset: Config.SUBSYSTEM_VENDOR_ID, bytes: 2, value: options.subsystemVendor },
    { offset: Config.SUBSYSTEM_ID, bytes: 2, value: options.subsystem },
    { offset: Config.INTERRUPT_LINE, bytes: 1, value: 0, writable: 0xff },
    { offset: Config.INTERRUPT_PIN, bytes: 1, value: options.interruptPin },
  ];
}

function barLayouts({ barBytes, barTypes = [] }: ConfigSpaceOptions): Layout[] {
  return barBytes.map((sizeBytes, index) => {
    const offset = Config.BAR0 + index * 4;
    const lower = index > 0 && barTypes[index - 1]?.addressBits === 64 ? barBytes[index - 1]! : undefined;
    const mask = -BigInt(lower ?? sizeBytes); // ones in the bits of the address that software sets
    if (lower !== undefined)
      return { offset, bytes: 4, value: 0, writable: Number(BigInt.asUintN(32, mask >> 32n)) };
    const { addressBits, prefetchable, io } = barTypes[index] ?? {};
    const value = io ? 1 : (addressBits === 64 ? 4 : 0) | (prefetchable ? 8 : 0);
    return { offset, bytes: 4, value, writable: Number(BigInt.asUintN(32, mask)) };
  });
}

/** The capabilities' own headers, chained in the order given. */
function capabilityHeaders(capabilities: readonly Capability[]): Layout[] {
  const conventional = capabilities.filter((capability) => capability.version === undefined);
  const extended = capabilities.filter((capability) => capability.version !== undefined);
  const headers: Layout[] = [{ offset: Config.CAPABILITIES, bytes: 1, value: conventional[0]?.offset ?? 0 }];
  for (const [i, { id, offset }] of conventional.entries()) {
    headers.push({ offset, bytes: 2, value: id | ((conventional[i + 1]?.offset ?? 0) << 8) });
  }
  for (const [i, { id, offset, version }] of extended.entries()) {
    headers.push({
      offset,
      bytes: 4,
      value: (id | (version! << 16) | ((extended[i + 1]?.offset ?? 0) << 20)) >>> 0,
    });
  }
  return headers;
}

/** Configuration space as the server accesses it. */
export interface ConfigSpaceModel {
  /** Copies a range into `to`. */
  read(offset: number, to: Uint8Array): void;
  /** Writes the writable bits. Returns true if this starts a function-level reset. */
  write(offset: number, from: Uint8Array): boolean;
  /** Decoding of memory and I/O, and bus mastering, from the command register. */
  readonly memoryEnabled: boolean;
  readonly ioEnabled: boolean;
  readonly busMaster: boolean;
  readonly intxDisabled: boolean;
  /** Logs a request that found no target, as a device does after an Unsupported Request completion. */
  logUnsupportedRequest(): void;
  setInterruptStatus(asserted: boolean): void;
  reset(): void;
}

/** Lays out a function's configuration space, 4096 bytes, with its BARs and capabilities, as after power-on. */
export function buildConfigSpace(options: ConfigSpaceOptions): ConfigSpaceModel {
  const initial = new Uint8Array(CONFIG_BYTES);
  const writable = new Uint8Array(CONFIG_BYTES);
  const clearable = new Uint8Array(CONFIG_BYTES);
  const lay = ({ offset, bytes, value, writable: w = 0, clearable: c = 0 }: Layout) => {
    for (let i = 0; i < bytes; i++) {
      initial[offset + i] = value >>> (8 * i);
      writable[offset + i] = w >>> (8 * i);
      clearable[offset + i] = c >>> (8 * i);
    }
  };
  for (const layout of [...header(options), ...capabilityHeaders(options.capabilities)]) lay(layout);
  for (const capability of options.capabilities) {
    for (const register of capability.registers)
      lay({ ...register, offset: capability.offset + register.offset });
  }

  const bytes = initial.slice();
  const view = new DataView(bytes.buffer);
  const command = () => view.getUint16(Config.COMMAND, true);
  const offsetOf = (id: number) => options.capabilities.find((capability) => capability.id === id)?.offset;
  const express = offsetOf(CapabilityId.EXPRESS);
  const aer = options.capabilities.find(
    ({ id, version }) => id === ExtendedCapabilityId.AER && version,
  )?.offset;
  const canReset = express !== undefined && (view.getUint32(express + 4, true) & FLR_CAPABLE) !== 0;
  const flrByte = express === undefined ? -1 : express + Express.DEVICE_CONTROL + 1;

  return {
    read: (offset, to) => to.set(bytes.subarray(offset, offset + to.byteLength)),
    write: (offset, from) => {
      for (let i = 0; i < from.byteLength; i++) {
        const at = offset + i;
        const value = from[i]!;
        bytes[at] = (bytes[at]! & ~writable[at]! & ~(clearable[at]! & value)) | (value & writable[at]!);
      }
      const flr = flrByte - offset;
      return canReset && flr >= 0 && flr < from.byteLength && (from[flr]! & (INITIATE_FLR >> 8)) !== 0;
    },
    get memoryEnabled() {
      return (command() & Command.MEMORY) !== 0;
    },
    get ioEnabled() {
      return (command() & Command.IO) !== 0;
    },
    get busMaster() {
      return (command() & Command.BUS_MASTER) !== 0;
    },
    get intxDisabled() {
      return (command() & Command.INTX_DISABLE) !== 0;
    },
    logUnsupportedRequest: () => {
      if (express !== undefined) {
        bytes[express + Express.DEVICE_STATUS]! |= UNSUPPORTED_REQUEST_DETECTED | NON_FATAL_DETECTED;
      }
      if (aer === undefined) return;
      // Bit 20, Unsupported Request Error. The pointer in bits 4:0 of the control register is the first error.
      const status = view.getUint32(aer + Aer.UNCORRECTABLE_STATUS, true);
      if (status === 0) view.setUint32(aer + Aer.CONTROL, 20, true);
      view.setUint32(aer + Aer.UNCORRECTABLE_STATUS, (status | (1 << 20)) >>> 0, true);
    },
    setInterruptStatus: (asserted) => {
      bytes[Config.STATUS] = (bytes[Config.STATUS]! & ~Status.INTERRUPT) | (asserted ? Status.INTERRUPT : 0);
    },
    reset: () => bytes.set(initial),
  };
}
