/** Kernel modules: which of a kernel package a guest needs, in modprobe's terms. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "../debian/process.ts";

/** What every guest has: file systems for the shares, then what drives devices from user space. */
export const bootModules = [
  "virtiofs",
  "9pnet_virtio",
  "9p",
  "overlay",
  "vfio-pci",
  "vfio_iommu_type1",
  "uio_pci_generic",
];

/** Drivers that a stock guest would load when it finds their device. */
export const deviceModules = ["nvme", "igb", "e1000e", "virtio-iommu"];

export interface KernelModule {
  name: string;
  /** The module itself, not compressed. */
  data: Uint8Array;
  /** Names of the modules that it needs, loaded or built in. */
  depends: string[];
}

/**
 * Modules by name with all that they need, each after what it needs.
 * @param folder lib/modules/VERSION of a kernel package
 * @throws when the kernel has one of them neither as a module nor built in
 */
export async function collectModules(folder: string, names: readonly string[]): Promise<KernelModule[]> {
  const files = new Map<string, string>();
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const [, stem] = /([^/]+)\.ko(?:\.xz)?$/.exec(path) ?? [];
    if (stem !== undefined) files.set(canonical(stem), join(folder, path));
  }
  const builtIn = new Set(
    readFileSync(join(folder, "modules.builtin"), "utf8")
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
  return [...collected.values()];
}

/**
 * modules.dep, as modprobe reads it (modules.dep(5): what is needed last comes first), for modules in one folder.
 * @param modules each after what it needs
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

/** The kernel takes - and _ in a module's name as the same. */
const canonical = (name: string) => name.replaceAll("-", "_");

/** The "depends" of a module's .modinfo section: strings KEY=VALUE, each ended by NUL. */
function dependenciesOf(data: Uint8Array): string[] {
  const at = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const start = at.indexOf("\0depends=") + "\0depends=".length;
  if (start < "\0depends=".length) return [];
  return at.toString("latin1", start, at.indexOf("\0", start)).split(",").filter(Boolean);
}
