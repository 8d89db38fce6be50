/**
 * Names of vendors, devices and classes from pci.ids, which Debian's package of that name installs and
 * `update-pciids` updates. The file is read at the first lookup and searched as it is: indexing its 40,000
 * names would cost more than the few searches.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { MAX_NAMES_BYTES } from "../limits.ts";

/** Its path on Debian and on Fedora. */
const FILES = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];

/** Names; undefined if the list lacks one, or if there is no list. */
export interface PciNames {
  vendor(vendor: number): string | undefined;
  device(vendor: number, device: number): string | undefined;
  /** The name of a board made of this device; the device's own if both have the same ids. */
  subsystem(vendor: number, device: number, subsystemVendor: number, subsystem: number): string | undefined;
  /** Names for a class code of 24 bits, from the widest to the narrowest. */
  class(classCode: number): {
    readonly base: string | undefined;
    readonly sub: string | undefined;
    readonly interface: string | undefined;
  };
}

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

/**
 * Names from the first of these files that there is, in the format of pci.ids; none are known if there is no such file.
 * Default: where distributions have pci.ids. The file is read when a name is first asked for.
 */
export function openNames(files: readonly string[] = FILES): PciNames {
  let list: Entry | undefined;
  const root = () => {
    list ??= { bytes: readFirst(files), found: new Map() };
    return list;
  };
  const vendorEntry = (vendor: number) => find(root(), hex(vendor, 4), 0);
  const deviceEntry = (vendor: number, device: number) => find(vendorEntry(vendor), hex(device, 4), 1);
  return {
    vendor: (vendor) => nameOf(vendorEntry(vendor)),
    device: (vendor, device) => nameOf(deviceEntry(vendor, device)),
    subsystem: (vendor, device, subsystemVendor, subsystem) => {
      const ids = `${hex(subsystemVendor, 4)} ${hex(subsystem, 4)}`;
      const own = nameOf(find(deviceEntry(vendor, device), ids, 2));
      if (own !== undefined) return own;
      const isDevice = vendor === subsystemVendor && device === subsystem;
      return isDevice ? nameOf(deviceEntry(vendor, device)) : undefined;
    },
    class: (classCode) => {
      const base = find(root(), `C ${hex(classCode >>> 16, 2)}`, 0);
      const sub = find(base, hex((classCode >>> 8) & 0xff, 2), 1);
      return {
        base: nameOf(base),
        sub: nameOf(sub),
        interface: nameOf(find(sub, hex(classCode & 0xff, 2), 2)),
      };
    },
  };
}

/** A line of the list with the lines that belong to it, and the lookups made among them. */
interface Entry {
  readonly bytes: Buffer;
  readonly found: Map<string, Entry | undefined>;
}

function readFirst(files: readonly string[]): Buffer {
  for (const file of files) {
    try {
      return readList(file);
    } catch {
      // Try the next one.
    }
  }
  return Buffer.alloc(0);
}

const NEWLINE = 0x0a;
const TAB = 0x09;
const HASH = 0x23;

/** A file's bytes after a newline, so that every line has one before it. Throws Error if it is too large. */
function readList(file: string): Buffer {
  const fd = openSync(file, "r");
  try {
    const { size } = fstatSync(fd);
    if (size > MAX_NAMES_BYTES)
      throw new Error(`${file} has ${size} bytes; at most ${MAX_NAMES_BYTES} are read`);
    const bytes = Buffer.allocUnsafeSlow(1 + size);
    bytes[0] = NEWLINE;
    return bytes.subarray(0, 1 + readSync(fd, bytes, 1, bytes.length - 1, 0));
  } finally {
    closeSync(fd);
  }
}

/** The entry with these ids within another. Its line has `tabs` tabs, the ids, two spaces and the name. */
function find(within: Entry | undefined, ids: string, tabs: number): Entry | undefined {
  if (!within) return undefined;
  const known = within.found.get(ids);
  if (known || within.found.has(ids)) return known;
  const start = within.bytes.indexOf(`\n${"\t".repeat(tabs)}${ids}  `);
  const entry =
    start < 0
      ? undefined
      : { bytes: within.bytes.subarray(start, endOf(within.bytes, start, tabs)), found: new Map() };
  within.found.set(ids, entry);
  return entry;
}

/** Where the entry ends: at the next line with as many tabs or fewer, except comments and empty lines. */
function endOf(bytes: Buffer, start: number, tabs: number): number {
  for (let line = bytes.indexOf(NEWLINE, start + 1); line >= 0; line = bytes.indexOf(NEWLINE, line + 1)) {
    const first = bytes[line + 1];
    if (first === NEWLINE || first === HASH) continue;
    let depth = 0;
    while (bytes[line + 1 + depth] === TAB) depth++;
    if (depth <= tabs) return line;
  }
  return bytes.length;
}

function nameOf(entry: Entry | undefined): string | undefined {
  if (!entry) return undefined;
  const end = entry.bytes.indexOf(NEWLINE, 1);
  const line = entry.bytes.subarray(1, end < 0 ? undefined : end).toString();
  return line.slice(line.indexOf("  ") + 2);
}
