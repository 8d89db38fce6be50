import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");
/** From the ground up, as the README's picture has them. */
const floors = [
  "src/os",
  "src/debian",
  "src/registers",
  "src/pci",
  "src/protocol",
  "src/device",
  "src/doctor",
  "src/media",
  "src/model",
  "src/guest",
  "src/vp9/contract",
  "src/vp9/driver",
  "src/vp9/encoder",
  "src/vp9/codec",
  "src/vp9/model",
  "scripts/cli",
  "scripts",
];
/** What a floor must not see, although it lies lower. */
const hidden: Record<string, readonly string[]> = {
  "src/debian": ["src/os"],
  "src/registers": ["src/os", "src/debian"],
  "src/pci": ["src/debian", "src/registers"],
  "src/protocol": ["src/debian", "src/pci", "src/registers"],
  "src/device": ["src/debian"],
  "src/doctor": ["src/debian"],
  "src/media": [
    "src/os",
    "src/debian",
    "src/pci",
    "src/registers",
    "src/protocol",
    "src/device",
    "src/doctor",
  ],
  "src/model": ["src/doctor", "src/media"],
  "src/guest": ["src/os", "src/pci", "src/device", "src/media", "src/model", "src/doctor"],
  "src/vp9/contract": ["src/os", "src/debian", "src/device", "src/media", "src/model", "src/guest"],
  "src/vp9/driver": ["src/os", "src/debian", "src/model", "src/guest"],
  "src/vp9/encoder": ["src/os", "src/debian", "src/model", "src/guest"],
  "src/vp9/codec": ["src/guest", "src/media", "src/vp9/driver", "src/vp9/encoder"],
  "src/vp9/model": ["src/guest", "src/media", "src/vp9/driver", "src/vp9/encoder"],
};

const sources = ["src", "scripts"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);
const floorOf = (path: string) => floors.findIndex((floor) => path.startsWith(`${floor}/`));

function imports(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) =>
    relative(root, resolve(root, dirname(path), match[1]!)),
  );
}

test("every source file is on a floor, but for the library's front door", () => {
  expect(sources.length).toBeGreaterThan(30);
  expect(sources.filter((path) => floorOf(path) < 0)).toEqual(["src/index.ts"]);
});

test("no floor imports one above it, nor one that it must not see", () => {
  const wrong: string[] = [];
  for (const path of sources.filter((path) => floorOf(path) >= 0)) {
    for (const imported of imports(path)) {
      const above = floorOf(imported) > floorOf(path);
      const seen = hidden[floors[floorOf(path)]!]?.some((floor) => imported.startsWith(`${floor}/`));
      if (above || seen || floorOf(imported) < 0) wrong.push(`${path} imports ${imported}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("only the os floor opens libraries or links machine code", () => {
  const openers = sources.filter((path) =>
    /\b(dlopen|linkSymbols)\(/.test(readFileSync(join(root, path), "utf8")),
  );
  expect(openers.every((path) => path.startsWith("src/os/"))).toBe(true);
  expect(openers).toContain("src/os/libc.ts");
});
