/**
 * Kernels for guests with what Debian's have not: iommufd, VFIO's character devices, and VFIO without an IOMMU.
 * `bun test/kernel/kernels.ts` prints the folder with their packages, for guest.ts's kernel option; test/setup.sh installs what
 * compiles them, and does.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { openArchive } from "../../src/debian/archive.ts";
import { cached } from "../../src/debian/cache.ts";
import { run } from "../../src/debian/process.ts";
import { type Arch, arches } from "../../src/guest/arch.ts";
import { DEFAULT_KERNEL } from "../../src/guest/assets.ts";

/** Fragments of configurations, in this folder. Of an option that two of them set, the last one counts. */
const flavours = { vfio: ["vfio"], "cdev-only": ["vfio", "cdev-only"] } as const;

/** `vfio` has every way to open a device; `cdev-only` has no groups, thus no containers and nothing without an IOMMU. */
export type Flavour = keyof typeof flavours;

/** The kernel's name for an architecture; the file to boot. QEMU starts x86-64's vmlinux by its PVH entry point. */
const targets = {
  x86_64: { name: "x86_64", target: "vmlinux", image: "vmlinux" },
  aarch64: { name: "arm64", target: "Image", image: "arch/arm64/boot/Image" },
} as const satisfies Record<Arch, { name: string; target: string; image: string }>;

/** Nothing in a kernel says who compiled it when. */
const ENVIRONMENT = {
  KBUILD_BUILD_TIMESTAMP: "1970-01-01",
  KBUILD_BUILD_USER: "vfiokit",
  KBUILD_BUILD_HOST: "vfiokit",
};
const LOG_LINES = 30;

/**
 * The path of a kernel's Debian package, for runGuest's option `kernel` and guest.ts's --kernel. Compiles all of them on first use.
 * @throws Error with the end of the log if one does not compile, or with the options that the source refuses
 */
export async function testKernel(arch: Arch, flavour: Flavour): Promise<string> {
  return join(await testKernels(console.log), packageName(arch, flavour));
}

const packageName = (arch: Arch, flavour: Flavour) => `linux-image-${flavour}-${arch}.deb`;

/** The cache entry: packages, configurations and the log. */
export async function testKernels(log: (line: string) => void): Promise<string> {
  const sources = [import.meta.path, ...[...Object.keys(targets), "vfio", "cdev-only"].map(fragmentPath)];
  const recipe = Bun.hash(sources.map((path) => readFileSync(path, "utf8")).join("\0"));
  return await cached(`test-kernels-${recipe.toString(16)}`, async (folder) => {
    const into = join(folder, "kernels");
    mkdirSync(into);
    const { source, version } = await unpackSource(folder, log);
    for (const arch of ["x86_64", "aarch64"] as const) {
      const build = { arch, source, folder: join(folder, arch), log: join(into, "build.log") };
      mkdirSync(build.folder);
      // In one folder: the second one compiles only what differs.
      for (const flavour of ["vfio", "cdev-only"] as const) {
        log(`compiling Linux ${version}, ${flavour}, for ${arch} guests (minutes, once)`);
        await compile(build, flavour);
        copyFileSync(join(build.folder, ".config"), join(into, `${flavour}-${arch}.config`));
        await pack(build, version, join(into, packageName(arch, flavour)));
      }
    }
    return into;
  });
}

/** Debian's newest source of its stable kernel series. `version` is the package's, as in 6.12.48-1. */
async function unpackSource(folder: string, log: (line: string) => void) {
  const name = `linux-source-${DEFAULT_KERNEL}`;
  log(`fetching ${name} from Debian's archive (150 MB, once)`);
  const archive = await openArchive("amd64", folder); // the same for all architectures
  await archive.unpack([name], folder, { dependencies: false });
  const shared = join(folder, "usr");
  await run(["tar", "-xf", join(shared, `src/${name}.tar.xz`), "-C", folder]);
  const changes = Bun.gunzipSync(readFileSync(join(shared, `share/doc/${name}/changelog.Debian.gz`)));
  const [, version] = /^\S+ \((\S+)\)/.exec(new TextDecoder().decode(changes)) ?? [];
  if (version === undefined) throw new Error(`${name}: its changelog does not begin with a version`);
  return { source: join(folder, name), version };
}

interface Build {
  readonly arch: Arch;
  readonly source: string;
  readonly folder: string;
  readonly log: string;
}

async function compile(build: Build, flavour: Flavour): Promise<void> {
  const { arch, folder } = build;
  const wanted = [...flavours[flavour], arch].map((name) => readFileSync(fragmentPath(name), "utf8"));
  const options = parse([...wanted, `CONFIG_LOCALVERSION="-${flavour}"`].join("\n"));
  const path = join(folder, "wanted");
  writeFileSync(path, [...options].map(([name, value]) => lineOf(name, value)).join(""));
  await make(build, "allnoconfig", `KCONFIG_ALLCONFIG=${path}`);
  const got = parse(readFileSync(join(folder, ".config"), "utf8"));
  const refused = [...options].filter(([name, value]) => (got.get(name) ?? "n") !== value);
  if (refused.length > 0) {
    const lines = refused.map(([name, value]) => `  ${lineOf(name, value)}`).join("");
    throw new Error(
      `this kernel source refuses options of the ${flavour} kernel for ${arch}, or lacks what they depend on:\n${lines}`,
    );
  }
  await make(build, `-j${availableParallelism()}`, targets[arch].target);
}

/** Packs what a guest takes from a kernel's package, as Debian's has it. */
async function pack({ arch, folder }: Build, version: string, into: string): Promise<void> {
  const release = readFileSync(join(folder, "include/config/kernel.release"), "utf8").trim();
  const tree = join(folder, `package-${release}`);
  const modules = join(tree, "lib/modules", release);
  for (const path of [modules, join(tree, "boot"), join(tree, "DEBIAN")])
    mkdirSync(path, { recursive: true });
  const image = join(tree, "boot", `vmlinuz-${release}`);
  if (arch === "x86_64")
    await run([`${arches[arch].triplet}-strip`, "-o", image, join(folder, targets[arch].image)]);
  else copyFileSync(join(folder, targets[arch].image), image);
  copyFileSync(join(folder, "modules.builtin"), join(modules, "modules.builtin"));
  const fields = {
    Package: `linux-image-${release}`,
    Version: version,
    Architecture: arches[arch].debian,
    Maintainer: "vfiokit",
    Description: "Linux for vfiokit's tests",
  };
  const control = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  writeFileSync(join(tree, "DEBIAN/control"), control.join(""));
  await run(["dpkg-deb", "--build", "--root-owner-group", "-Znone", tree, into]);
}

/** Runs make; its output goes to the log. */
async function make({ arch, source, folder, log }: Build, ...args: string[]): Promise<void> {
  const command = [
    ...["make", "-C", source, `O=${folder}`, `ARCH=${targets[arch].name}`],
    ...[`CROSS_COMPILE=${arches[arch].triplet}-`, ...args],
  ];
  try {
    await run(["sh", "-c", 'exec "$@" >> "$0" 2>&1', log, ...command], { env: ENVIRONMENT });
  } catch (cause) {
    const end = readFileSync(log, "utf8").trimEnd().split("\n").slice(-LOG_LINES).join("\n");
    throw new Error(`${command.join(" ")} failed; its last lines:\n${end}`, { cause });
  }
}

const fragmentPath = (name: string) => join(import.meta.dir, `${name}.config`);

/** The options of a configuration by name; one that is not set has the value n. */
function parse(text: string): Map<string, string> {
  const lines = text.matchAll(/^(?:# )?(CONFIG_\w+)(?:=(.*)| is not set)$/gm);
  return new Map([...lines].map(([, name, value = "n"]) => [name!, value]));
}

const lineOf = (name: string, value: string) =>
  value === "n" ? `# ${name} is not set\n` : `${name}=${value}\n`;

if (import.meta.main) console.log(await testKernels(console.error));
