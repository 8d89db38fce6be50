/** Archives in cpio's "newc" format, as the kernel unpacks them (Documentation/driver-api/early-userspace/buffer-format.rst). */

const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

export type CpioEntry =
  | { path: string; kind: "folder" }
  | { path: string; kind: "file"; data: Uint8Array; executable?: boolean }
  | { path: string; kind: "link"; target: string }
  | { path: string; kind: "character-device"; major: number; minor: number };

/** Packs entries in the order given; a folder must precede its contents. */
export function packCpio(entries: Iterable<CpioEntry>): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let inode = 1;
  for (const entry of entries) {
    const path = entry.path.replace(/^\//, "");
    if (entry.kind === "folder") add(path, inode++, S_IFDIR | 0o755);
    else if (entry.kind === "link")
      add(path, inode++, S_IFLNK | 0o777, new TextEncoder().encode(entry.target));
    else if (entry.kind === "file")
      add(path, inode++, S_IFREG | (entry.executable ? 0o755 : 0o644), entry.data);
    else add(path, inode++, S_IFCHR | 0o600, undefined, [entry.major, entry.minor]);
  }
  add("TRAILER!!!", 0, 0);
  return parts;

  function add(
    path: string,
    ino: number,
    mode: number,
    data: Uint8Array = new Uint8Array(),
    device = [0, 0],
  ) {
    const name = new TextEncoder().encode(`${path}\0`);
    // c_ino, c_mode, c_uid, c_gid, c_nlink, c_mtime, c_filesize, c_maj, c_min, c_rmaj, c_rmin, c_namesize, c_chksum
    const fields = [ino, mode, 0, 0, 1, 0, data.length, 0, 0, ...device, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    parts.push(new TextEncoder().encode(header), name, padding(header.length + name.length));
    parts.push(data, padding(data.length));
  }
}

/** Names and contents are padded to 4 bytes. */
const padding = (length: number) => new Uint8Array(-length & 3);
