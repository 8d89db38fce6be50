/** Where a function sits: domain, bus, device and function, as sysfs and lspci write it (0000:00:09.0). */
import { BusError } from "./bus-error.ts";

interface PciAddress {
  readonly domain: number;
  readonly bus: number;
  readonly device: number;
  readonly function: number;
}

/** Domains have four digits, but for those that VMD and Hyper-V make up: up to eight. */
const FORM = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i;
/** Devices of a bus, PCIe 6.0 section 2.2.6.2: 5 bits. */
const LAST_DEVICE = 0x1f;

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

/** Takes an address apart. Domain 0 may be left out: 00:09.0. Undefined when it is none. */
function parse(text: string): PciAddress | undefined {
  const parts = FORM.exec(text);
  if (!parts) return undefined;
  const [, domain = "0", bus, device, number] = parts;
  const address = {
    domain: Number.parseInt(domain, 16),
    bus: Number.parseInt(bus!, 16),
    device: Number.parseInt(device!, 16),
    function: Number(number),
  };
  return address.device > LAST_DEVICE ? undefined : address;
}

/** Whether a text is a function's address, with or without its domain. */
export function isAddress(text: string): boolean {
  return parse(text) !== undefined;
}

/** Takes an address apart. Throws BusError when it is none. */
function parseAddress(text: string): PciAddress {
  const address = parse(text);
  if (!address)
    throw new BusError(
      `"${text}" is no PCI address; it looks like 0000:00:09.0, or 00:09.0 (bun run list.ts shows them)`,
    );
  return address;
}

/** An address as sysfs names the function: 00:09.0 → 0000:00:09.0. Throws BusError when it is none. */
export function canonicalAddress(text: string): string {
  const { domain, bus, device, function: number } = parseAddress(text);
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(device, 2)}.${number}`;
}
