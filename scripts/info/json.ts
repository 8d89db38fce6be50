import type { DecodedFunction } from "../../src/pci/decode/decode.ts";
import type { PciNames } from "../../src/pci/decode/names.ts";
import type { Source } from "./source.ts";

/** What --json prints of a function: everything that was decoded, its names, and where it is. */
export function toJson(decoded: DecodedFunction, names: PciNames, { around }: Source): object {
  const { vendorId, deviceId, classCode, subsystemVendorId = 0, subsystemId = 0 } = decoded;
  const kind = names.class(classCode);
  return {
    address: around.address ?? null,
    names: {
      class: kind.sub ?? kind.base ?? null,
      interface: kind.interface ?? null,
      vendor: names.vendor(vendorId) ?? null,
      device: names.device(vendorId, deviceId) ?? null,
      subsystem: names.subsystem(vendorId, deviceId, subsystemVendorId, subsystemId) ?? null,
    },
    driver: around.driver ?? null,
    iommuGroup: around.iommuGroup === undefined ? null : Number(around.iommuGroup),
    numaNode: around.numaNode ?? null,
    irq: around.irq ?? decoded.interruptLine,
    ...decoded,
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
