/** Registers found by name, without a snapshot of configuration space, are those that info decodes from one. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { extendedCapabilities, standardCapabilities } from "../../src/pci/decode/capabilities/table.ts";
import { decodeConfig } from "../../src/pci/decode/decode.ts";
import { readDump } from "../../src/pci/decode/hex-dump.ts";
import { findCapabilities, headerRegisterAt } from "../../src/pci/decode/named-registers.ts";
import { capabilityKinds, folded, headerRegisters } from "../../src/pci/decode/register-names.ts";
import {
  cardBusSpace,
  extendedKinds,
  newKinds,
  randomNumbers,
  standardKinds,
  syntheticSpace,
} from "./synthetic.ts";

setDefaultTimeout(60_000);

/** A device with these bytes, which notes the offsets that are read. */
function deviceOf(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reads: number[] = [];
  return {
    reads,
    config: {
      sizeBytes: bytes.byteLength,
      read32(offset: number) {
        expect(offset % 4).toBe(0);
        reads.push(offset);
        return view.getUint32(offset, true);
      },
    },
  };
}

const words = (text: string) => text.replace(/\s+/g, " ");

function compare(bytes: Uint8Array): void {
  const decoded = decodeConfig(bytes);
  const { config } = deviceOf(bytes);
  const found = findCapabilities(config);
  if (!decoded.answers) {
    expect(found).toBeUndefined();
    return;
  }
  const sound = decoded.capabilities.filter(({ problem }) => problem === undefined);
  expect(found!.headerType).toBe(decoded.headerType);
  expect(found!.problem === undefined).toBe(sound.length === decoded.capabilities.length);
  expect(found!.list.map(({ id, extended, offset }) => ({ id, extended, offset }))).toEqual(
    sound.map(({ id, extended, offset }) => ({ id, extended, offset })),
  );
  found!.list.forEach((capability, i) => {
    const { registers, lines, name } = sound[i]!;
    if (capability.name !== undefined) expect(capability.name).toBe(name);
    const named = capability.registers();
    const text = words(lines.join(" "));
    const value = (raw: number | string) => BigInt(raw);
    expect(
      named.map((register, j) => ({
        name: register.name,
        offset: register.offset,
        sizeBytes: register.sizeBytes as number,
        fields: register.meaning(value(registers[j]!.value)).fields,
      })),
    ).toEqual(registers.map(({ name, offset, sizeBytes, fields }) => ({ name, offset, sizeBytes, fields })));
    named.forEach((register, j) => {
      expect(text).toContain(words(register.meaning(value(registers[j]!.value)).text));
    });
    expect(new Set(named.map((register) => folded(register.name))).size).toBe(named.length);
  });
  for (const { name, offset, sizeBytes, value, fields } of decoded.registers) {
    const register = headerRegisterAt(config, decoded.headerType, offset, sizeBytes);
    expect([register?.name, register?.meaning(BigInt(value)).fields]).toEqual([name, fields]);
  }
}

for (const folder of ["dumps", "lspci-3.15"]) {
  const path = join(import.meta.dir, folder);
  test.each(readdirSync(path))(`in every function of ${folder}/%s`, (file) => {
    const functions = readDump(new Uint8Array(readFileSync(join(path, file))));
    expect(functions.length).toBeGreaterThan(0);
    for (const { bytes } of functions) compare(bytes);
  });
}

test("in every kind of capability with random bits, and in CardBus bridges", () => {
  const random = randomNumbers(7);
  for (let i = 0; i < 5; i++) {
    for (const kind of standardKinds) compare(syntheticSpace(random, kind, undefined).bytes);
    for (const kind of extendedKinds) compare(syntheticSpace(random, undefined, kind).bytes);
    for (const { standard, extended } of newKinds) compare(syntheticSpace(random, standard, extended).bytes);
    compare(cardBusSpace(random).bytes);
  }
});

test("what is read is the header, a word of each capability, and what decides which registers there are", () => {
  const [first] = readDump(
    new Uint8Array(readFileSync(join(import.meta.dir, "dumps/qemu-express.txt"))),
  ).filter(({ bytes }) => decodeConfig(bytes).capabilities.some(({ extended }) => extended));
  const { config, reads } = deviceOf(first!.bytes);
  const { list } = findCapabilities(config)!;
  const inHeader = Array.from({ length: 16 }, (_, i) => i * 4);
  const allowed = new Set([...inHeader, ...list.map(({ offset }) => offset)]);
  expect(reads.filter((offset) => !allowed.has(offset))).toEqual([]);
  expect(reads.length).toBeLessThan(16 + list.length + 3);
});

describe("names", () => {
  test("every kind of capability that info knows has one, and no two are the same", () => {
    expect(capabilityKinds).toHaveLength(
      Object.keys(standardCapabilities).length + Object.keys(extendedCapabilities).length,
    );
    const shortNames = capabilityKinds.map(({ shortName }) => shortName);
    expect(new Set(shortNames).size).toBe(shortNames.length);
    // 0 is no capability.
    expect(capabilityKinds.filter(({ shortName, id }) => !shortName.includes("_") && id !== 0)).toEqual([]);
  });

  test("none can be taken for a number, and none of the header for a capability", () => {
    const all = [
      ...headerRegisters.flatMap(({ name, also }) => [name, ...(also ? [also] : [])]),
      ...capabilityKinds.flatMap(({ shortName, name = "" }) => [shortName, name]),
    ];
    expect(all.filter((name) => /^(0x)?[0-9a-f]+$/i.test(folded(name)))).toEqual([]);
    const kinds = new Set(
      capabilityKinds.flatMap(({ shortName, name = "" }) => [shortName, name].map(folded)),
    );
    expect(headerRegisters.filter(({ name }) => kinds.has(folded(name)))).toEqual([]);
  });
});
