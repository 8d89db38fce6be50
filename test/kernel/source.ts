/** Debian's source of the Linux kernel, without what no test kernel compiles. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openArchive } from "../../src/debian/archive.ts";
import { cached } from "../../src/debian/cache.ts";
import { run } from "../../src/debian/process.ts";
import { DEFAULT_KERNEL } from "../../src/guest/assets.ts";

/** Where the source's files are left out: most of its 1.6 GB. The descriptions of options (Kconfig) stay everywhere. */
const unused = {
  arch: [
    ...[
      "alpha",
      "arc",
      "arm",
      "csky",
      "hexagon",
      "loongarch",
      "m68k",
      "microblaze",
      "mips",
      "nios2",
      "openrisc",
    ],
    ...["parisc", "powerpc", "riscv", "s390", "sh", "sparc", "um", "xtensa", "arm64/boot/dts"],
  ],
  drivers: [
    ...[
      "accel",
      "ata",
      "block",
      "bluetooth",
      "comedi",
      "gpu",
      "hid",
      "hwmon",
      "iio",
      "infiniband",
      "input",
      "media",
    ],
    ...[
      "message",
      "misc",
      "mmc",
      "mtd",
      "net/*",
      "phy",
      "pinctrl",
      "platform",
      "scsi",
      "staging",
      "thermal",
      "usb",
    ],
    "video/*",
  ],
  fs: ["bcachefs", "btrfs", "ext4", "f2fs", "gfs2", "nfs", "nfsd", "ocfs2", "smb", "xfs"],
  tools: ["perf", "testing"],
};
const endings = ["c", "h", "S", "dts", "dtsi", "rst", "yaml", "json", "sh", "py"];
const folders = [
  ...Object.entries(unused).flatMap(([folder, names]) => names.map((name) => `${folder}/${name}`)),
  ...["Documentation", "samples", "sound"],
];

export interface KernelSource {
  readonly folder: string;
  /** Of Debian's package, as in 6.12.48-1. */
  readonly version: string;
}

/** Fetches the newest source of Debian's stable kernel series into the cache folder on first use. */
export async function fetchKernelSource(log: (line: string) => void): Promise<KernelSource> {
  const name = `linux-source-${DEFAULT_KERNEL}`;
  const recipe = Bun.hash(readFileSync(import.meta.path)).toString(16);
  const entry = await cached(`${name}-${recipe}`, async (folder) => {
    log(`fetching ${name} from Debian's archive (150 MB, once)`);
    const archive = await openArchive("amd64", folder); // the same for all architectures
    await archive.unpack([name], folder, { dependencies: false });
    const shared = join(folder, "usr");
    const patterns = folders.flatMap((path) =>
      endings.map((ending) => `--exclude=${name}/${path}/*.${ending}`),
    );
    await run(["tar", "-xf", join(shared, `src/${name}.tar.xz`), "-C", folder, ...patterns]);
    const changes = Bun.gunzipSync(readFileSync(join(shared, `share/doc/${name}/changelog.Debian.gz`)));
    const [, version] = /^\S+ \((\S+)\)/.exec(new TextDecoder().decode(changes)) ?? [];
    if (version === undefined) throw new Error(`${name}: its changelog does not begin with a version`);
    writeFileSync(join(folder, name, "debian-version"), version);
    return join(folder, name);
  });
  return { folder: entry, version: readFileSync(join(entry, "debian-version"), "utf8") };
}
