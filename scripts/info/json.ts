import { isBridgeClass } from "../../src/pci/bus/functions.ts";
import type { DecodedFunction } from "../../src/pci/decode/decode.ts";
import type { PciNames } from "../../src/pci/decode/names.ts";
import { hex } from "../cli/number.ts";
import type { Source } from "./source.ts";

/**
 * The --json output for a function: the fields of list.ts, with the same names and forms, and everything else
 * that was decoded.
 */
export function toJson(decoded: DecodedFunction, names: PciNames, { around, iommuGroup }: Source): object {
  const {
    vendorId,
    deviceId,
    classCode,
    subsystemVendorId = 0,
    subsystemId = 0,
    revision,
    bridge,
    ...rest
  } = decoded;
  const kind = names.class(classCode);
  return {
    address: around.address ?? null,
    class: hex(classCode, 24),
    vendor: hex(vendorId, 16),
    device: hex(deviceId, 16),
    subsystemVendor: hex(subsystemVendorId, 16),
    subsystem: hex(subsystemId, 16),
    revision: hex(revision, 8),
    names: {
      class: kind.sub ?? kind.base ?? null,
      interface: kind.interface ?? null,
      vendor: names.vendor(vendorId) ?? null,
      device: names.device(vendorId, deviceId) ?? null,
      subsystem: names.subsystem(vendorId, deviceId, subsystemVendorId, subsystemId) ?? null,
    },
    driver: around.driver ?? null,
    iommuGroup: iommuGroup ?? null,
    numaNode: around.numaNode ?? null,
    irq: around.irq ?? decoded.interruptLine,
    bridge: isBridgeClass(classCode),
    ...(bridge && { buses: bridge }),
    ...rest,
    registers: decoded.registers.map(withoutLines),
    capabilities: decoded.capabilities.map((capability) => ({
      ...withoutLines(capability),
      registers: capability.registers.map(withoutLines),
    })),
  };
}

function withoutLines<T extends { readonly lines: readonly string[] }>({
  lines: _,
  ...rest
}: T): Omit<T, "lines"> {
  return rest;
}
