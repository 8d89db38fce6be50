/** udev for a guest, which has none by itself: Debian's, with the libraries that it needs. */
import { copyFileSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { openArchive } from "../../src/debian/archive.ts";
import { cached } from "../../src/debian/cache.ts";
import { type Arch, arches } from "../../src/guest/arch.ts";

/** What the guest's programs do not bring already. */
const libraries = [
  "acl",
  "audit",
  "blkid",
  "cap-ng",
  "crypt",
  "mount",
  "pam",
  "pcre2-8",
  "seccomp",
  "selinux",
];
const wanted = new RegExp(`^lib(${libraries.join("|")})\\.so\\.\\d+$`);

/** A folder udev with systemd-udevd, udevadm and their libraries. Fetches it on first use. */
export async function fetchUdev(arch: Arch): Promise<string> {
  const entry = await cached(`udev-${arch}-${Bun.hash(String(wanted)).toString(16)}`, async (folder) => {
    const archive = await openArchive(arches[arch].debian, folder);
    const tree = join(folder, "tree");
    await archive.unpack(["udev"], tree, { dependencies: true });
    const from = join(tree, "usr/lib", arches[arch].triplet);
    const to = join(folder, "made/udev");
    mkdirSync(to, { recursive: true });
    copyFileSync(join(tree, "usr/bin/udevadm"), join(to, "udevadm"));
    // It is the same program, which goes by its name.
    symlinkSync("udevadm", join(to, "systemd-udevd"));
    for (const path of readdirSync(from, { recursive: true, encoding: "utf8" }))
      if (wanted.test(path) || /^systemd\/libsystemd-shared-\d+\.so$/.test(path))
        copyFileSync(join(from, path), join(to, basename(path)));
    return join(folder, "made");
  });
  return join(entry, "udev");
}
