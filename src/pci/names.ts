/**
 * Names of vendors, devices and classes from pci.ids, the list that Debian's package of that name installs and
 * `update-pciids` renews. The file is read once, when the first name is asked for, and searched as it lies: an index of
 * its 40,000 names would cost more than the few searches.
 */
import { readFileSync } from "node:fs";

/** Where Debian, and where Fedora, have it. */
const FILES = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];

/** Names; undefined for what the list does not have, or where there is no list. */
export interface PciNames {
  vendor(vendor: number): string | undefined;
  device(vendor: number, device: number): string | undefined;
  /** A board's name: as made of this device, else as its maker lists it. */
  subsystem(vendor: number, device: number, subsystemVendor: number, subsystem: number): string | undefined;
  /** Names for a class code of 24 bits, from the widest to the narrowest. */
  class(classCode: number): {
    readonly base: string | undefined;
    readonly sub: string | undefined;
    readonly interface: string | undefined;
  };
}

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

export function openNames(files: readonly string[] = FILES): PciNames {
  let text: string | undefined;
  const list = () => {
    text ??= readFirst(files);
    return text;
  };
  const vendorBlock = (vendor: number) => block(list(), hex(vendor, 4), 0);
  const deviceBlock = (vendor: number, device: number) => block(vendorBlock(vendor), hex(device, 4), 1);
  return {
    vendor: (vendor) => title(vendorBlock(vendor)),
    device: (vendor, device) => title(deviceBlock(vendor, device)),
    subsystem: (vendor, device, subsystemVendor, subsystem) => {
      const ids = `${hex(subsystemVendor, 4)} ${hex(subsystem, 4)}`;
      const own = title(block(deviceBlock(vendor, device), ids, 2));
      if (own !== undefined) return own;
      const same = vendor === subsystemVendor && device === subsystem;
      // Boards that go by no device are listed as "S" and their vendor.
      const boards = block(list(), `S ${hex(subsystemVendor, 4)}`, 0);
      return title(block(boards, hex(subsystem, 4), 1)) ?? (same ? title(deviceBlock(vendor, device)) : undefined);
    },
    class: (classCode) => {
      const base = block(list(), `C ${hex(classCode >>> 16, 2)}`, 0);
      const sub = block(base, hex((classCode >>> 8) & 0xff, 2), 1);
      return {
        base: title(base),
        sub: title(sub),
        interface: title(block(sub, hex(classCode & 0xff, 2), 2)),
      };
    },
  };
}

function readFirst(files: readonly string[]): string {
  for (const file of files) {
    try {
      return `\n${readFileSync(file, "utf8")}\n`;
    } catch {
      // The next one, then.
    }
  }
  return "";
}

/**
 * The entry with these ids and all below it, as lines that start with a newline; "" where there is none. An entry is `ids`,
 * two spaces and the name, behind as many tabs as it is deep.
 */
function block(within: string, ids: string, depth: number): string {
  const indent = "\n".padEnd(1 + depth, "\t");
  const start = within.indexOf(`${indent}${ids}  `);
  if (start < 0) return "";
  for (let end = start + 1; ; ) {
    end = within.indexOf("\n", end);
    if (end < 0) return within.slice(start);
    // It ends at the next line that is as deep or less; comments may stand anywhere.
    const next = within.slice(end + 1, end + 2 + depth);
    if (next !== "" && !next.startsWith("\n") && !next.startsWith("#") && next !== "".padEnd(1 + depth, "\t"))
      return within.slice(start, end + 1);
    end++;
  }
}

function title(entry: string): string | undefined {
  return /^\n\t*[0-9a-fCS ]+? {2}(.*)/.exec(entry)?.[1];
}
