/** Vendor-Specific Capability: PCIe 6.0, section 7.9.4. Vendors define its meaning; some publish it. */
import type { CapabilityLayout } from "./capability.ts";
import { intelHeading, intelRegisters } from "./intel.ts";
import { hex, number, type RegisterLayout } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const RED_HAT = 0x1af4;
const INTEL = 0x8086;
const isIntel = ({ vendor }: Scope) => vendor === INTEL;
const isVirtio = ({ vendor, device, bits }: Scope) =>
  vendor === RED_HAT && device >= 0x1000 && device <= 0x107f && bits(0, 16, 23) >= 16;

/** Virtual I/O Device 1.2, section 4.1.4. */
const VIRTIO_TYPES: Readonly<Record<number, string>> = {
  1: "CommonCfg",
  2: "Notify",
  3: "ISR",
  4: "DeviceCfg",
  8: "SharedMemory",
};
const NOTIFY = 2;
const SHARED_MEMORY = 8;

const virtioHeading: RegisterLayout = {
  name: "virtioCapability",
  offset: 2,
  sizeBytes: 2,
  label: "",
  fields: {
    capabilityLength: number(0, 7, ""),
    configurationType: number(8, 15, "VirtIO: {}", (type) => VIRTIO_TYPES[type] ?? "<unknown>"),
  },
};

const virtioLocation: RegisterLayout = {
  name: "virtioLocation",
  offset: 4,
  sizeBytes: 1,
  label: "",
  fields: {
    bar: number(0, 7, "BAR={}"),
    offset: { ...hex(0, 0, 8, "offset={}"), value: (_, scope) => scope.read(8, 4) },
    length: { ...hex(0, 0, 8, "size={}"), value: (_, scope) => scope.read(12, 4) },
    notifyOffsetMultiplier: {
      ...hex(0, 0, 8, "multiplier={}"),
      value: (_, scope) => scope.read(16, 4),
      when: (scope) => scope.bits(0, 24, 31) === NOTIFY && scope.bits(0, 16, 23) >= 20,
    },
  },
};

/** Section 4.1.4.7: both upper halves follow both lower halves. */
function sharedMemory64(low: number, high: number): RegisterLayout["fields"][string]["value"] {
  return (_, scope) => {
    const value = (BigInt(scope.read(high, 4)) << 32n) | BigInt(scope.read(low, 4));
    return `0x${value.toString(16).padStart(16, "0")}`;
  };
}

const sharedMemoryLocation: RegisterLayout = {
  name: "virtioLocation",
  offset: 4,
  sizeBytes: 2,
  label: "",
  fields: {
    bar: number(0, 7, "BAR={}"),
    offset: { bits: [0, 0], text: "offset={}", value: sharedMemory64(8, 16) },
    length: { bits: [0, 0], text: "size={}", value: sharedMemory64(12, 20) },
    id: number(8, 15, "id={}"),
  },
};

const plainHeading: RegisterLayout = {
  name: "vendorSpecific",
  offset: 2,
  sizeBytes: 1,
  label: "",
  fields: { capabilityLength: hex(0, 7, 2, "Len={} <?>") },
};

export const vendorSpecific: CapabilityLayout = {
  title: "Vendor Specific Information:",
  heading: (scope) => (isVirtio(scope) ? virtioHeading : isIntel(scope) ? intelHeading : plainHeading),
  registers: (scope) => {
    if (isVirtio(scope)) return [scope.read(3, 1) === SHARED_MEMORY ? sharedMemoryLocation : virtioLocation];
    return isIntel(scope) ? intelRegisters(scope) : [];
  },
  opaqueBytes: (scope) => {
    const isDecoded = isVirtio(scope) || (isIntel(scope) && intelRegisters(scope).length > 0);
    return isDecoded ? 0 : scope.read(2, 1) || Infinity;
  },
};
