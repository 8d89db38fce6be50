/** Devices of a guest by short names, in QEMU's terms. */

interface KnownDevice {
  /** Properties that it has unless the spec says otherwise. */
  properties: Record<string, string>;
  /** The kernel's driver for it, which a stock guest would load. */
  module?: string;
}

/** No ROM: the firmware would spend seconds on looking for a server to boot from. */
const noBootRom = { romfile: "" };

const known: Record<string, KnownDevice> = {
  edu: { properties: {} },
  nvme: { properties: { serial: "vfiokit" }, module: "nvme" },
  "pci-testdev": { properties: { membar: "8M" } },
  igb: { properties: noBootRom, module: "igb" },
  e1000e: { properties: noBootRom, module: "e1000e" },
};

export const deviceNames = Object.keys(known);

/** QEMU's -device option for a spec: a short name, or such an option, which gets the properties that it lacks. */
export function deviceOption(spec: string): string {
  const [name, ...given] = spec.split(",") as [string, ...string[]];
  const properties = Object.entries(known[name]?.properties ?? {})
    .filter(([key]) => !given.some((property) => property.startsWith(`${key}=`)))
    .map(([key, value]) => `${key}=${value}`);
  return [name, ...given, ...properties].join(",");
}

/** Modules of the kernel's own drivers for these devices. */
export function driverModules(specs: readonly string[]): string[] {
  return [...new Set(specs.flatMap((spec) => known[spec.split(",")[0]!]?.module ?? []))];
}
