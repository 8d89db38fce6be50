/** Configuration space comes from outside: whatever its bytes are, and wherever they end, info shows something of it. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { toJson } from "../../scripts/info/json.ts";
import { Config, Status } from "../../src/pci/config-offsets.ts";
import { extendedCapabilities, standardCapabilities } from "../../src/pci/decode/capabilities/table.ts";
import { decodeConfig } from "../../src/pci/decode/decode.ts";
import { describe } from "../../src/pci/decode/describe.ts";
import { DumpError, readDump } from "../../src/pci/decode/hex-dump.ts";
import { openNames } from "../../src/pci/decode/names.ts";
import { hexRows } from "./lspci.ts";
import {
  cardBusSpace,
  extendedKinds,
  newKinds,
  randomNumbers,
  standardKinds,
  syntheticSpace,
} from "./synthetic.ts";

const names = openNames([]);
const PRINTABLE = /^[\t\n\x20-\x7e]*$/;
/** What a number or a name that is missing turns into by mistake. */
const MISTAKES = /undefined|NaN|null|\[object|\[]|-0x|[=#]-\d/;

/** Both forms of a space; throws what decoding throws. */
function check(bytes: Uint8Array, what: string): void {
  const decoded = decodeConfig(bytes);
  const text = describe(decoded, names);
  const json = JSON.stringify(toJson(decoded, names, { bytes, regions: [], around: {} }));
  const wrong = !PRINTABLE.test(text) || !PRINTABLE.test(json) || MISTAKES.test(text);
  if (wrong)
    throw new Error(`${what}: ${JSON.stringify(MISTAKES.exec(text)?.[0])} in ${JSON.stringify(text)}`);
  // A line is a line: nothing in a capability's text breaks out of its indentation.
  expect(
    text
      .split("\n")
      .slice(1)
      .every((line) => /^\t+ *\S/.test(line)),
  ).toBe(true);
  expect(json.includes("NaN")).toBe(false);
}

const ids = (table: object) => Object.keys(table).map(Number);
const standardIds = [...ids(standardCapabilities), 0x42];
const extendedIds = [...ids(extendedCapabilities), 0x1234];

test("3000 spaces of random bytes and sizes are shown in printable ASCII, without a missing name or number", () => {
  const random = randomNumbers(7);
  for (let i = 0; i < 3000; i++) {
    const bytes = new Uint8Array([64, 128, 192, 256, 300, 1024, 4096][i % 7]!);
    for (let at = 0; at < bytes.byteLength; at++) bytes[at] = random();
    bytes[Config.STATUS]! |= Status.CAPABILITIES;
    bytes[Config.HEADER_TYPE] = random() % 4;
    // Ids that capabilities of their own formats have: these read the most.
    new DataView(bytes.buffer).setUint16(0, [0x8086, 0x1af4, 0x1e98, 0xffff][random() % 4]!, true);
    // Short lists of capabilities that exist are what leads deepest.
    for (let at = 0x40; at + 4 <= Math.min(256, bytes.byteLength); at += 4)
      bytes[at] = standardIds[random() % standardIds.length]!;
    for (let at = 0x100; at + 4 <= bytes.byteLength; at += 4)
      bytes.set([extendedIds[random() % extendedIds.length]!, 0], at);
    check(bytes, `space ${i}`);
  }
}, 120_000);

test("every capability is shown wherever its bytes end", () => {
  const random = randomNumbers(8);
  const spaces = [
    ...standardKinds.map((kind) => syntheticSpace(random, kind, undefined)),
    ...extendedKinds.map((kind) => syntheticSpace(random, undefined, kind)),
    ...newKinds.map(({ standard, extended }) => syntheticSpace(random, standard, extended)),
  ];
  for (const { bytes, name } of spaces) {
    for (let end = 0x80; end < 0x180; end += 1 + (random() % 13))
      check(bytes.slice(0, end), `${name} to ${end}`);
    // And with every register at its ends.
    for (const fill of [0x00, 0xff]) check(bytes.slice().fill(fill, 0x104), `${name} with ${fill}`);
  }
  for (let i = 0; i < 200; i++) check(cardBusSpace(random).bytes.slice(0, 64 + (random() % 64)), "CardBus");
  for (const fill of [0x00, 0xff])
    for (const sizeBytes of [64, 65, 256, 4096]) check(new Uint8Array(sizeBytes).fill(fill), `all ${fill}`);
}, 120_000);

test("dumps that are cut off, or have wrong characters, are read or refused with a DumpError", () => {
  const random = randomNumbers(9);
  const folder = join(import.meta.dir, "lspci-3.15");
  const dumps = readdirSync(folder).filter((name) => name !== "synthetic.txt");
  const files = dumps.map((name) => readFileSync(join(folder, name)));
  files.push(readFileSync(join(import.meta.dir, "hexdump-C.txt")));
  files.push(Buffer.from(`00:00.0 X\n${hexRows(new Uint8Array(64).map(() => random()))}\n`));
  let shown = 0;
  for (const [i, file] of files.entries()) {
    for (let round = 0; round < 40; round++) {
      const damaged = new Uint8Array(file.subarray(0, round % 2 ? random() % file.byteLength : undefined));
      for (let flips = random() % 20; flips > 0 && damaged.byteLength > 0; flips--)
        damaged[random() % damaged.byteLength] = random();
      let functions: ReturnType<typeof readDump> = [];
      try {
        functions = readDump(damaged);
      } catch (error) {
        if (!(error instanceof DumpError)) throw error;
        expect(PRINTABLE.test(error.message)).toBe(true);
      }
      for (const { bytes, address } of functions) check(bytes, `${address} of file ${i}, round ${round}`);
      shown += functions.length;
    }
  }
  expect(shown).toBeGreaterThan(100);
}, 120_000);
