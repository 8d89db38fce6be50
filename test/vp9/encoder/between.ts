import type { PciDevice, Region } from "../../../src/device/device.ts";

/** A real device, with some of what its BARs do replaced; it stays the caller's. */
export function between(
  device: PciDevice,
  replace: (bar: Region) => Partial<Pick<Region, "read32" | "write32" | "copyIn">>,
): PciDevice {
  const bars = device.bars.map((bar) => ({ ...bar, ...replace(bar) }));
  return new Proxy(device, {
    get: (target, name) => {
      if (name === "bars") return bars;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
