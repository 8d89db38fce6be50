/** Devices of a guest by short names, in QEMU's terms. */

interface KnownDevice {
  /** Properties that it has unless the spec says otherwise. */
  properties: Record<string, string>;
  /** The kernel's driver for it, which a stock guest would load. */
  module?: string;
  /** Whether it needs a disk to be of use. */
  disk?: true;
}

/** No ROM: the firmware would spend seconds on looking for a server to boot from. */
const noBootRom = { romfile: "" };

const known: Record<string, KnownDevice> = {
  edu: { properties: {} },
  nvme: { properties: { serial: "vfiokit" }, module: "nvme", disk: true },
  "pci-testdev": { properties: { membar: "8M", "membar-backed": "on" } },
  igb: { properties: noBootRom, module: "igb" },
  e1000e: { properties: noBootRom, module: "e1000e" },
};

export const deviceNames = Object.keys(known);

const VFIO_USER = "vfio-user:";

/** Whether one of QEMU's -device options is a device served over vfio-user. */
export function isVfioUser(option: string): boolean {
  return option.includes('"vfio-user-pci"');
}

/** The path in vfio-user:/path/to.sock; undefined for what is no such spec. */
export function socketOf(spec: string): string | undefined {
  return spec.startsWith(VFIO_USER) ? spec.slice(VFIO_USER.length) : undefined;
}

/**
 * QEMU's -device option for a spec: a short name, or such an option, which gets the properties that it lacks;
 * vfio-user:/path/to.sock for a device that a vfio-user server has.
 */
export function deviceOption(spec: string): string {
  const path = socketOf(spec);
  if (path !== undefined) return JSON.stringify({ driver: "vfio-user-pci", socket: { path, type: "unix" } });
  const [name, ...given] = spec.split(",") as [string, ...string[]];
  const properties = Object.entries(known[name]?.properties ?? {})
    .filter(([key]) => !given.some((property) => property.startsWith(`${key}=`)))
    .map(([key, value]) => `${key}=${value}`);
  return [name, ...given, ...properties].join(",");
}

/** Whether a spec is that of a device with a disk, and names none (drive=NAME). */
export function needsDisk(spec: string): boolean {
  const [name, ...given] = spec.split(",") as [string, ...string[]];
  return known[name]?.disk === true && !given.some((property) => property.startsWith("drive="));
}

/** Modules of the kernel's own drivers for these devices. */
export function driverModules(specs: readonly string[]): string[] {
  return [...new Set(specs.flatMap((spec) => known[spec.split(",")[0]!]?.module ?? []))];
}
