/** A guest's devices: parses specs, and turns them into QEMU's -device options. */
import { isModelSpec, type ModelSpec, parseModelSpec } from "../model/models.ts";

interface KnownDevice {
  /** What it is, in one line. */
  about: string;
  /** Default properties, which the spec can override. */
  properties: Record<string, string>;
  /** Whether it needs a disk. */
  disk?: true;
}

/** No ROM: the firmware would spend seconds looking for a server to boot from. */
const noBootRom = { romfile: "" };

const known: Record<string, KnownDevice> = {
  edu: { about: "QEMU's device for teaching: registers, DMA, MSI", properties: {} },
  nvme: {
    about: "an NVMe controller with an empty disk of 64 MiB",
    properties: { serial: "vfiokit" },
    disk: true,
  },
  "pci-testdev": {
    about: "8 MiB of memory in BAR2",
    properties: { membar: "8M", "membar-backed": "on" },
  },
  igb: { about: "an Intel 82576 network card with SR-IOV", properties: noBootRom },
  e1000e: { about: "an Intel 82574L network card", properties: noBootRom },
};

/** QEMU's devices that have a short name here, with a few words about each. */
export const knownDevices = Object.entries(known).map(([name, { about }]) => ({ name, about }));

/** The short names of QEMU's devices that a guest can have. */
export const deviceNames = Object.keys(known);

/** A device for a guest. */
export type GuestDevice =
  | { readonly kind: "model"; readonly model: ModelSpec }
  /** The device that a vfio-user server serves on that socket. */
  | { readonly kind: "vfio-user"; readonly socketPath: string }
  | QemuDevice;

/** One of QEMU's -device options. */
export interface QemuDevice {
  readonly kind: "qemu";
  /** As QEMU takes it: "NAME,PROPERTY=VALUE,...", or an object in JSON. */
  readonly option: string;
  /** QEMU's name for it. */
  readonly driver: string;
  /** The option's properties; none if the option is malformed, which QEMU explains. */
  readonly properties: Readonly<Record<string, unknown>>;
}

const VFIO_USER = "vfio-user:";
/** QEMU's driver for a vfio-user server's device. */
const VFIO_USER_DRIVER = "vfio-user-pci";

/**
 * Parses a device's spec: `model:NAME`, `vfio-user:/path/to.sock`, a short name, or QEMU's -device option.
 * Adds the default properties that a short name lacks. Throws DeviceError: there is no such model.
 */
export function parseDevice(spec: string): GuestDevice {
  if (isModelSpec(spec)) return { kind: "model", model: parseModelSpec(spec) };
  if (spec.startsWith(VFIO_USER)) return { kind: "vfio-user", socketPath: spec.slice(VFIO_USER.length) };
  const device = parseOption(spec);
  return isJson(spec) ? device : withProperties(device, known[device.driver]?.properties ?? {});
}

/** A vfio-user server's device in QEMU. */
export function vfioUserDevice(socketPath: string): QemuDevice {
  const socket = { path: socketPath, type: "unix" };
  return parseOption(JSON.stringify({ driver: VFIO_USER_DRIVER, socket }));
}

export const isVfioUser = ({ driver }: QemuDevice) => driver === VFIO_USER_DRIVER;

/** The same device, with the given properties added where it lacks them. */
export function withProperties(device: QemuDevice, more: Readonly<Record<string, string>>): QemuDevice {
  const missing = Object.entries(more).filter(([key]) => !Object.hasOwn(device.properties, key));
  if (missing.length === 0) return device;
  const properties = { ...device.properties, ...Object.fromEntries(missing) };
  const option = isJson(device.option)
    ? JSON.stringify({ driver: device.driver, ...properties })
    : [device.option, ...missing.map(([key, value]) => `${key}=${value}`)].join(",");
  return { ...device, option, properties };
}

/** Whether the options mix QEMU's two forms: QEMU creates the devices given as JSON after all others. */
export function areMixed(devices: readonly QemuDevice[]): boolean {
  return new Set(devices.map(({ option }) => isJson(option))).size > 1;
}

/**
 * The same devices, in the order given, with a slot for each PCI device on the root bus that has none.
 * @param isPci tells PCI devices from others, by QEMU's name or alias
 */
export function placeDevices(devices: readonly QemuDevice[], isPci: (name: string) => boolean): QemuDevice[] {
  const taken = new Set(devices.filter(isOnRoot).map(({ properties }) => slotOf(properties.addr)));
  let slot = 0;
  return devices.map((device) => {
    if (!isOnRoot(device) || Object.hasOwn(device.properties, "addr") || !isPci(device.driver)) return device;
    do slot++;
    while (taken.has(slot));
    return withProperties(device, { addr: slot.toString(16) });
  });
}

const isJson = (option: string) => option.startsWith("{");

function parseOption(option: string): QemuDevice {
  if (!isJson(option)) {
    const [driver = "", ...given] = option.split(",");
    const properties = Object.fromEntries(given.map((property) => property.split(/=(.*)/s).slice(0, 2)));
    return { kind: "qemu", option, driver, properties };
  }
  try {
    const { driver, ...properties } = JSON.parse(option) as Record<string, unknown>;
    return { kind: "qemu", option, driver: String(driver), properties };
  } catch {
    return { kind: "qemu", option, driver: "", properties: {} };
  }
}

const isOnRoot = ({ properties: { bus } }: QemuDevice) => bus === undefined || bus === "pcie.0";

/**
 * The slot of a device at function 0; undefined for other functions. The address is "SLOT" or "SLOT.FUNCTION"
 * in hex, or QEMU's devfn as a number.
 */
function slotOf(addr: unknown): number | undefined {
  if (typeof addr === "number") return addr % 8 === 0 ? addr / 8 : undefined;
  const [, slot, rest = "0"] = /^(?:0x)?([\da-f]+)(?:\.([0-7]))?$/i.exec(String(addr)) ?? [];
  return slot !== undefined && rest === "0" ? Number.parseInt(slot, 16) : undefined;
}

/** Whether a device needs a disk and names none (drive=NAME). */
export function needsDisk({ option, driver, properties }: QemuDevice): boolean {
  return !isJson(option) && known[driver]?.disk === true && !Object.hasOwn(properties, "drive");
}
