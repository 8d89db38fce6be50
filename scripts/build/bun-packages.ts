/**
 * Writes src/guest/bun-packages.json, from package-lock.json: which Bun guests and standalone binaries get, and the checksums of
 * its packages. It goes with the package, which has no lock file.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

const root = resolve(import.meta.dir, "../..");

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly version: string; readonly integrity?: string } | undefined>
  >;
}

/** The file's text. Throws Error where the lock file lacks one. */
export function bunPackages(): string {
  const { packages } = JSON.parse(readFileSync(resolve(root, "package-lock.json"), "utf8")) as Lock;
  const names = ["x64", "aarch64"].flatMap((machine) =>
    ["", "-musl"].map((libc) => `@oven/bun-linux-${machine}${libc}`),
  );
  const integrities = names.map((name) => {
    const integrity = packages[`node_modules/${name}`]?.integrity;
    if (integrity === undefined) throw new Error(`package-lock.json has no checksum of ${name}`);
    return [name, integrity];
  });
  const version = packages["node_modules/bun"]?.version;
  return `${JSON.stringify({ version, integrities: Object.fromEntries(integrities) }, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(resolve(root, "src/guest/bun-packages.json"), bunPackages());
