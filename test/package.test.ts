/** What package-lock.json must be for npm to install from it anywhere, and to leave it as it is. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

interface Package {
  readonly version?: string;
  readonly resolved?: string;
  readonly libc?: unknown;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const root = resolve(import.meta.dir, "..");
const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
  readonly packages: Readonly<Record<string, Package>>;
};

test("the lock file has what each package needs on other machines, or npm ci refuses it", () => {
  const wanted = Object.values(lock.packages).flatMap(({ optionalDependencies = {} }) =>
    Object.keys(optionalDependencies),
  );
  expect(wanted).toContain("@oven/bun-linux-aarch64-musl");
  expect(wanted.filter((name) => lock.packages[`node_modules/${name}`]?.version === undefined)).toEqual([]);
});

test("the lock file names no registry, and no C library: npm before 11 drops those lines when it installs", () => {
  const entries = Object.entries(lock.packages);
  expect(entries.filter(([, { resolved, libc }]) => resolved !== undefined || libc !== undefined)).toEqual(
    [],
  );
});
