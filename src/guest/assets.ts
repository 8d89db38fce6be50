/** A guest's assets: QEMU, a kernel with its modules, programs, Bun. Fetched on first use, then cached. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { type Archive, openArchive } from "../debian/archive.ts";
import { cached } from "../debian/cache.ts";
import { run } from "../debian/process.ts";
import { type Arch, arches, hostArch } from "./arch.ts";
import bunPackages from "./bun-packages.json" with { type: "json" };
import {
  BUILT_IN,
  bootModules,
  collectModules,
  deviceModules,
  diskModules,
  groupModules,
  modulesAlias,
  modulesDep,
} from "./modules.ts";
import { OptionError } from "./options.ts";
import { unpackKernel } from "./vmlinux.ts";

/** Debian's stable kernel series. */
export const DEFAULT_KERNEL = "6.12";

type Log = (line: string) => void;

const qemuPackages = ["qemu-system-x86", "qemu-system-arm", "libslirp0", "virtiofsd"];
const guestPackages = ["busybox-static", "libgcc-s1", "pciutils"];
const optionalModules = [...groupModules, ...deviceModules, ...diskModules];
/** What modprobe reads, by name. It also reads the list of modules that are built in. */
const indexes = { "modules.dep": modulesDep, "modules.alias": modulesAlias };

/** A hash that changes when the contents of a cache entry change. */
const recipe = (...parts: unknown[]) =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 8);

/** A folder with QEMU for both guests, virtiofsd and their dependencies, below usr. */
export async function fetchQemu(log: Log): Promise<string> {
  const arch = hostArch;
  if (arch === undefined) throw new Error(`guests run on x86-64 and aarch64, not on ${process.arch}`);
  return await cached(`qemu-${arch}-${recipe(qemuPackages)}`, async (folder) => {
    log("fetching QEMU from Debian's archive (70 MB, once)");
    const archive = await openArchive(arches[arch].debian, folder);
    const tree = join(folder, "tree");
    await archive.unpack(qemuPackages, tree, { dependencies: true, backports: true });
    prune(tree);
    return tree;
  });
}

/** A folder with the guest's programs and libraries, below usr. */
export async function fetchPrograms(arch: Arch, log: Log): Promise<string> {
  return await cached(`programs-${arch}-${recipe(guestPackages)}`, async (folder) => {
    log(`fetching the ${arch} guest's programs from Debian's archive (8 MB, once)`);
    const archive = await openArchive(arches[arch].debian, folder);
    const tree = join(folder, "tree");
    await archive.unpack(guestPackages, tree, { dependencies: true });
    prune(tree);
    return tree;
  });
}

function prune(tree: string) {
  for (const name of ["doc", "man", "locale", "lintian", "bash-completion"])
    rmSync(join(tree, "usr/share", name), { recursive: true, force: true });
}

export interface Kernel {
  /** As `uname -r` prints it. */
  release: string;
  /** The file that QEMU boots. */
  image: string;
  /** Folder of uncompressed modules, with modules.dep, modules.alias and modules.builtin. */
  modules: string;
}

/**
 * A Debian kernel by the beginning of its version (takes the newest match, and caches it under the requested
 * version), or by the file of its package, linux-image-*.deb.
 */
export async function fetchKernel(arch: Arch, wanted: string, log: Log): Promise<Kernel> {
  const isFile = wanted.endsWith(".deb");
  const identity = isFile ? (await hashOf(wanted, "sha256", "hex")).slice(0, 12) : wanted;
  const entry = await cached(
    `kernel-${identity}-${arch}-${recipe(bootModules, optionalModules, Object.keys(indexes), BUILT_IN)}`,
    async (folder) => {
      const tree = join(folder, "tree");
      if (isFile) await run(["dpkg-deb", "--extract", resolve(wanted), tree]);
      else {
        log(`fetching an ${arch} kernel ${wanted} from Debian's archive (100 MB, once)`);
        const archive = await openArchive(arches[arch].debian, folder);
        await archive.unpack(await findKernelPackages(archive, arch, wanted), tree, { dependencies: false });
      }
      return await takeKernel(tree, join(folder, "kernel"));
    },
  );
  const release = readFileSync(join(entry, "release"), "utf8");
  return { release, image: await bootImage(arch, entry), modules: join(entry, "modules") };
}

/** The file that QEMU boots: the unpacked kernel, where it takes one. */
async function bootImage(arch: Arch, entry: string): Promise<string> {
  const packed = join(entry, "vmlinuz");
  if (arch !== "x86_64") return packed;
  const unpacked = await cached(basename(entry).replace("kernel", "vmlinux"), async (folder) => {
    const path = join(folder, "vmlinux");
    writeFileSync(path, unpackKernel(readFileSync(packed)) ?? "");
    return path;
  });
  return statSync(unpacked).size > 0 ? unpacked : packed;
}

/** The packages of the newest kernel whose version begins with `wanted`. Kernels after 6.12 have several. */
async function findKernelPackages(archive: Archive, arch: Arch, wanted: string): Promise<string[]> {
  const suffix = `-${arches[arch].debian}`;
  const names = new Set(await archive.names("linux-"));
  const versions = [...names]
    .filter((name) => /^linux-image-\d[^-]*-[^-]+$/.test(name) && name.endsWith(suffix))
    .map((name) => name.slice("linux-image-".length, -suffix.length))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const found = versions.findLast((version) => new RegExp(`^${RegExp.escape(wanted)}(?!\\d)`).test(version));
  if (found === undefined)
    throw new OptionError(
      "kernel",
      `${wanted}: Debian's archive has no such kernel for ${arch}; it has ${versions.join(", ")}`,
    );
  const parts = ["image", "base", "binary", "modules"].map((part) => `linux-${part}-${found}${suffix}`);
  return parts.filter((name) => names.has(name));
}

/** Keeps the parts of a kernel package that a guest uses. */
async function takeKernel(tree: string, into: string): Promise<string> {
  const all = ["usr/lib/modules", "lib/modules"].map((path) => join(tree, path)).find(existsSync);
  const [release] = all === undefined ? [] : readdirSync(all);
  if (all === undefined || release === undefined) throw new Error("the kernel's package has no modules");
  const folder = join(all, release);
  const image = [join(tree, "boot", `vmlinuz-${release}`), join(folder, "vmlinuz")].find(existsSync);
  if (image === undefined) throw new Error(`the kernel's package has no vmlinuz for ${release}`);
  mkdirSync(join(into, "modules"), { recursive: true });
  renameSync(image, join(into, "vmlinuz"));
  writeFileSync(join(into, "release"), release);
  const collected = await collectModules(folder, bootModules, optionalModules);
  copyFileSync(join(folder, BUILT_IN), join(into, "modules", BUILT_IN));
  for (const { name, data } of collected) writeFileSync(join(into, "modules", `${name}.ko`), data);
  for (const [name, textOf] of Object.entries(indexes))
    writeFileSync(join(into, "modules", name), textOf(collected));
  return into;
}

/** The C library that a Bun for Linux is built for; guests have glibc. */
export type Libc = "glibc" | "musl";

/** A Bun for Linux: this checkout's if it fits, else that version from npm, verified by package-lock.json. */
export async function fetchBun(arch: Arch, log: Log, libc: Libc = "glibc"): Promise<string> {
  const { version } = bunPackages;
  if (arch === hostArch) for (const own of ownBuns(version)) if ((await libcOf(own)) === libc) return own;
  const ending = libc === "musl" ? "-musl" : "";
  return await cached(`bun-${arch}${ending}-${version}`, async (folder) => {
    const name = `@oven/${arches[arch].bunPackage}${ending}` as const;
    log(`fetching ${name}@${version} from npm (40 MB, once)`);
    const printed = await run(["npm", "pack", "--silent", `${name}@${version}`], { cwd: folder });
    const archive = join(folder, new TextDecoder().decode(printed).trim());
    const want = bunPackages.integrities[name];
    const got = `sha512-${await hashOf(archive, "sha512", "base64")}`;
    if (got !== want) throw new Error(`${name}@${version} has the checksum ${got}, not ${want}`);
    await run(["tar", "-xzf", archive, "-C", folder, "package/bin/bun"]);
    chmodSync(join(folder, "package/bin/bun"), 0o755);
    return join(folder, "package/bin/bun");
  });
}

/** Of a file that may be large. */
async function hashOf(path: string, kind: "sha256" | "sha512", as: "hex" | "base64"): Promise<string> {
  const hash = createHash(kind);
  for await (const part of Bun.file(path).stream()) hash.update(part);
  return hash.digest(as);
}

/** Detected by a program's loader, whose path is near its beginning. */
function ownBuns(version: string): string[] {
  const running = Bun.version === version && !Bun.isStandaloneExecutable ? [process.execPath] : [];
  try {
    return [...running, Bun.resolveSync("bun/bin/bun.exe", import.meta.dir)];
  } catch {
    return running;
  }
}

/** By the loader that a program asks for, whose path lies at its beginning; undefined for what asks for none. */
async function libcOf(program: string): Promise<Libc | undefined> {
  const [, loader] = /\/ld-(musl|linux)-/.exec(await Bun.file(program).slice(0, 4096).text()) ?? [];
  return loader === undefined ? undefined : loader === "musl" ? "musl" : "glibc";
}
