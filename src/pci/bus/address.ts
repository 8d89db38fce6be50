/** PCI addresses (domain:bus:device.function, BDF) as sysfs and lspci write them: 0000:00:09.0. */
import { BusError } from "./bus-error.ts";

/**
 * A domain has four digits, or more if VMD or Hyper-V made it up. A bus has 32 devices, a device 8 functions.
 */
const FORM = /^([0-9a-f]{4,8}:)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])$/i;

/** Whether a text is a function's address, with or without its domain. */
export function isAddress(text: string): boolean {
  return FORM.test(text);
}

/** An address in sysfs' form: 00:09.0 becomes 0000:00:09.0. Throws BusError if it is not an address. */
export function canonicalAddress(text: string): string {
  const parts = FORM.exec(text);
  if (!parts)
    throw new BusError(`"${text}" is not a PCI address; an address looks like 0000:00:09.0, or 00:09.0`, {
      remedies: [{ verb: "list", args: [], does: "shows them" }],
    });
  const [, domain = "0000:", rest] = parts;
  return `${domain}${rest}`.toLowerCase();
}
