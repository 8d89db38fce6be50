import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");
/** From the ground up, as the README's picture has them. */
const floors = [
  "src/remedy",
  "src/os",
  "src/pixels",
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
  "src/guest": ["src/pci", "src/registers", "src/protocol", "src/media", "src/doctor"],
  "src/vp9/contract": ["src/os", "src/debian", "src/device", "src/media", "src/model", "src/guest"],
  "src/vp9/driver": ["src/os", "src/debian", "src/model", "src/guest"],
  "src/vp9/encoder": ["src/os", "src/debian", "src/model", "src/guest"],
  "src/vp9/codec": ["src/guest", "src/media", "src/vp9/driver", "src/vp9/encoder"],
  "src/vp9/model": ["src/guest", "src/media", "src/vp9/driver", "src/vp9/encoder"],
};

const doors = [
  "bus",
  "decode",
  "doctor",
  "globals",
  "guest",
  "media",
  "mediabunny",
  "model",
  "registers",
  "vp9",
];
const frontDoors = [...doors.map((name) => `src/exports/${name}.ts`), "src/index.ts", "src/schemes.ts"];

const sources = ["src", "scripts"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);
const floorOf = (path: string) => floors.findIndex((floor) => path.startsWith(`${floor}/`));

/**
 * What a file reaches: what it imports, also when that is not until later, and the files that it names by their place, to
 * start them as a thread or a process.
 */
function reaches(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  const folder = dirname(path);
  const imported = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) =>
    join(folder, match[1]!),
  );
  const named = [
    ...text.matchAll(/(?:ownFile|new URL)\(\s*"([^"]+\.ts)"|import\.meta\.resolve\("([^"]+)"\)/g),
    ...text.matchAll(/(?:join|resolve)\(import\.meta\.dir, "([^"]+\.ts)"/g),
  ].map((match) => join(folder, (match[1] ?? match[2])!));
  const inCheckout = [...text.matchAll(/join\(checkout, "([^"]+\.ts)"/g)].map((match) => match[1]!);
  return [...imported, ...named, ...inCheckout];
}
const edges = new Map(sources.map((path) => [path, reaches(path)]));

test("every source file is on a floor, but for the library's front doors", () => {
  expect(sources.length).toBeGreaterThan(30);
  expect(sources.filter((path) => floorOf(path) < 0).sort()).toEqual(frontDoors);
});

test("what a file reaches is there", () => {
  const lost = [...edges].flatMap(([path, reached]) =>
    reached.filter((other) => !existsSync(join(root, other))).map((other) => `${path} reaches ${other}`),
  );
  expect(lost).toEqual([]);
  // Those that no import shows.
  expect(edges.get("src/model/hosting/child-process.ts")).toContain("src/model/hosting/child.ts");
  expect(edges.get("src/vp9/model/register.ts")).toContain("src/vp9/model/vp9.model.ts");
});

test("no floor reaches one above it, nor one that it must not see", () => {
  const wrong: string[] = [];
  for (const [path, reached] of edges) {
    if (floorOf(path) < 0) continue;
    for (const other of reached) {
      const above = floorOf(other) > floorOf(path);
      const seen = hidden[floors[floorOf(path)]!]?.some((floor) => other.startsWith(`${floor}/`));
      const door = frontDoors.includes(other) ? !path.startsWith("scripts/") : floorOf(other) < 0;
      if (above || seen || door) wrong.push(`${path} reaches ${other}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("nothing reaches itself through others", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const follow = (path: string, way: readonly string[]) => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(" -> "));
    if (done.has(path) || way.includes(path)) return;
    for (const other of edges.get(path) ?? []) follow(other, [...way, path]);
    done.add(path);
  };
  for (const path of edges.keys()) follow(path, []);
  expect(circles).toEqual([]);
});

test("the README draws these floors, in this order", () => {
  const picture = /```text\n([^`]*src\/os\/[^`]*)```/.exec(
    readFileSync(join(root, "README.md"), "utf8"),
  )?.[1];
  const drawn = [...picture!.matchAll(/^ ((?:src|scripts)(?:\/\w+)*)\/ /gm)].map((match) => match[1]!);
  const folders = floors.map((floor) => (floor.startsWith("src/vp9/") ? "src/vp9" : floor));
  expect(drawn.toReversed()).toEqual([...new Set(folders)]);
});

/** The card's name, its driver's and its codec's, in any spelling; the kit works with any device. */
const card = /vp9|\bencoder|10ee|7022|libvpx|libav|\bcodec/i;
const kit = ["remedy", "os", "pci", "registers", "protocol", "device", "model", "guest", "doctor"];

test("nothing of the kit names the card", () => {
  const named = sources
    .filter((path) => kit.some((floor) => path.startsWith(`src/${floor}/`)))
    .flatMap((path) =>
      readFileSync(join(root, path), "utf8")
        .split("\n")
        .flatMap((line, i) => (card.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
    );
  expect(named).toEqual([]);
});

test("no file is longer than 400 lines", () => {
  const lines = (path: string) => readFileSync(join(root, path), "utf8").split("\n").length - 1;
  expect(sources.filter((path) => lines(path) > 400)).toEqual([]);
});

test("only the os floor opens libraries or links machine code", () => {
  const openers = sources.filter((path) =>
    /\b(dlopen|linkSymbols)\(/.test(readFileSync(join(root, path), "utf8")),
  );
  expect(openers.every((path) => path.startsWith("src/os/"))).toBe(true);
  expect(openers).toContain("src/os/libc.ts");
});
