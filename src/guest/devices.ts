/** Devices of a guest by short names, in QEMU's terms. */

interface KnownDevice {
  /** What it is, in a line. */
  about: string;
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
  edu: { about: "QEMU's device for teaching: registers, DMA, MSI", properties: {} },
  nvme: {
    about: "an NVMe controller with an empty disk of 64 MiB",
    properties: { serial: "vfiokit" },
    module: "nvme",
    disk: true,
  },
  "pci-testdev": {
    about: "8 MiB of memory in BAR2",
    properties: { membar: "8M", "membar-backed": "on" },
  },
  igb: { about: "an Intel 82576 network card with SR-IOV", properties: noBootRom, module: "igb" },
  e1000e: { about: "an Intel 82574L network card", properties: noBootRom, module: "e1000e" },
};

export const knownDevices = Object.entries(known).map(([name, { about }]) => ({ name, about }));

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

/** Whether options have both of QEMU's forms: it creates the devices of JSON after all others. */
export function areMixed(options: readonly string[]): boolean {
  return new Set(options.map(isJson)).size > 1;
}

/**
 * The same -device options with a slot for each PCI device on the root bus that has none, in the order given.
 * @param isPci tells PCI devices from others, by QEMU's name or alias
 */
export function placeDevices(options: readonly string[], isPci: (name: string) => boolean): string[] {
  const devices = options.map(propertiesOf);
  const taken = new Set(devices.filter(isOnRoot).map(({ addr }) => slotOf(addr)));
  let slot = 0;
  return devices.map((device, index) => {
    const option = options[index]!;
    if (!isOnRoot(device) || device.addr !== undefined || !isPci(String(device.driver))) return option;
    do slot++;
    while (taken.has(slot));
    const addr = slot.toString(16);
    return isJson(option) ? JSON.stringify({ ...device, addr }) : `${option},addr=${addr}`;
  });
}

const isJson = (option: string) => option.startsWith("{");

type Properties = Record<string, unknown>;

/** What a -device option says; nothing where it is broken, which QEMU explains. */
function propertiesOf(option: string): Properties {
  if (!isJson(option)) {
    const [driver, ...given] = option.split(",");
    return Object.fromEntries([
      ["driver", driver],
      ...given.map((property) => property.split(/=(.*)/s).slice(0, 2)),
    ]);
  }
  try {
    return JSON.parse(option) as Properties;
  } catch {
    return {};
  }
}

const isOnRoot = ({ bus }: Properties) => bus === undefined || bus === "pcie.0";

/** The slot of which a device at an address takes function 0: "SLOT" or "SLOT.FUNCTION" in hex, or QEMU's devfn as a number. */
function slotOf(addr: unknown): number | undefined {
  if (typeof addr === "number") return addr % 8 === 0 ? addr / 8 : undefined;
  const [, slot, rest = "0"] = /^(?:0x)?([\da-f]+)(?:\.([0-7]))?$/i.exec(String(addr)) ?? [];
  return slot !== undefined && rest === "0" ? Number.parseInt(slot, 16) : undefined;
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
