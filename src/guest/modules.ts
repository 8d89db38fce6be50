/** Selects the modules of a kernel package that a guest needs, and lists them for modprobe. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "../debian/process.ts";

/** Modules of every guest: for the shares, behind an IOMMU, too, then drivers for devices used from user space. */
export const bootModules = [
  "virtio-iommu",
  "virtiofs",
  "9pnet_virtio",
  "9p",
  "overlay",
  "vfio-pci",
  "uio_pci_generic",
];

/** The IOMMU driver of VFIO's groups. A kernel with iommufd may do without both. */
export const groupModules = ["vfio_iommu_type1"];

/** Drivers that the guest loads when it finds their devices, as a stock one does. */
export const deviceModules = ["nvme", "igb", "e1000e"];

/** A file system for disks, and what it needs for its default names. */
export const diskModules = ["vfat", "nls_cp437", "nls_ascii"];

export interface KernelModule {
  name: string;
  /** The module itself, uncompressed. */
  data: Uint8Array;
  /** Names of the modules that it needs, loaded or built in. */
  depends: string[];
}

/** In lib/modules/VERSION: the modules that are built in. */
export const BUILT_IN = "modules.builtin";

/**
 * Collects modules by name with their dependencies, each after its dependencies.
 * @param folder lib/modules/VERSION of a kernel package
 * @param optional modules that the kernel may lack
 * @throws Error if the kernel has one of the others neither as a module nor built in
 */
export async function collectModules(
  folder: string,
  names: readonly string[],
  optional: readonly string[],
): Promise<KernelModule[]> {
  const files = new Map<string, string>();
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const [, stem] = /([^/]+)\.ko(?:\.xz)?$/.exec(path) ?? [];
    if (stem !== undefined) files.set(canonical(stem), join(folder, path));
  }
  const builtIn = new Set(
    readFileSync(join(folder, BUILT_IN), "utf8")
      .split("\n")
      .map((line) => canonical(basename(line, ".ko"))),
  );
  const collected = new Map<string, KernelModule>();
  async function collect(name: string): Promise<void> {
    const key = canonical(name);
    if (collected.has(key) || builtIn.has(key)) return;
    const path = files.get(key);
    if (path === undefined) throw new Error(`the kernel in ${folder} has no module ${name}`);
    const data = path.endsWith(".xz")
      ? await run(["xz", "--decompress", "--stdout", path])
      : new Uint8Array(readFileSync(path));
    const depends = dependenciesOf(data);
    for (const other of depends) await collect(other);
    collected.set(key, { name: basename(path).replace(/\.ko(\.xz)?$/, ""), data, depends });
  }
  for (const name of names) await collect(name);
  for (const name of optional) if (files.has(canonical(name))) await collect(name);
  return [...collected.values()];
}

/**
 * The text of modules.dep for modules in one folder (modules.dep(5): dependencies in reverse order of
 * loading).
 * @param modules each after its dependencies
 */
export function modulesDep(modules: readonly KernelModule[]): string {
  const closures = new Map<string, Set<string>>();
  let text = "";
  for (const { name, depends } of modules) {
    const needs = new Set(
      depends.flatMap((other) => [canonical(other), ...(closures.get(canonical(other)) ?? [])]),
    );
    closures.set(canonical(name), needs);
    const files = modules
      .filter((other) => needs.has(canonical(other.name)))
      .map((other) => `${other.name}.ko`);
    text += `${[`${name}.ko:`, ...files.reverse()].join(" ")}\n`;
  }
  return text;
}

/** The text of modules.alias: the devices, file systems and so on that each module is for, as patterns. */
export function modulesAlias(modules: readonly KernelModule[]): string {
  return modules
    .flatMap(({ name, data }) => infoOf(data, "alias").map((alias) => `alias ${alias} ${canonical(name)}\n`))
    .join("");
}

/** The kernel treats - and _ in a module's name as the same. */
const canonical = (name: string) => name.replaceAll("-", "_");

const dependenciesOf = (data: Uint8Array) =>
  infoOf(data, "depends").flatMap((names) => names.split(",").filter(Boolean));

/** The values of a key in a module's .modinfo section: strings KEY=VALUE, each ended by NUL. */
function infoOf(data: Uint8Array, key: string): string[] {
  const at = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const mark = `\0${key}=`;
  const values: string[] = [];
  for (let found = at.indexOf(mark); found >= 0; found = at.indexOf(mark, found + 1)) {
    const start = found + mark.length;
    values.push(at.toString("latin1", start, at.indexOf("\0", start)));
  }
  return values;
}
