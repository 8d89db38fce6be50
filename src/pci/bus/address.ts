/** Where a function sits: domain, bus, device and function, as sysfs and lspci write it (0000:00:09.0). */
import { BusError } from "./bus-error.ts";

/** Domains have four digits, but for those that VMD and Hyper-V make up; a bus has 32 devices, a device 8 functions. */
const FORM = /^([0-9a-f]{4,8}:)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])$/i;

/** Whether a text is a function's address, with or without its domain. */
export function isAddress(text: string): boolean {
  return FORM.test(text);
}

/** An address as sysfs names the function: 00:09.0 is 0000:00:09.0. Throws BusError where it is none. */
export function canonicalAddress(text: string): string {
  const parts = FORM.exec(text);
  if (!parts)
    throw new BusError(`"${text}" is no PCI address; it looks like 0000:00:09.0, or 00:09.0`, {
      remedies: [{ verb: "list", args: [], does: "shows them" }],
    });
  const [, domain = "0000:", rest] = parts;
  return `${domain}${rest}`.toLowerCase();
}
