import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readDump } from "../../src/pci/decode/hex-dump.ts";
import { wrongWords } from "./differences.ts";
import { recordedTexts, texts } from "./lspci.ts";
import {
  cardBusSpace,
  extendedKinds,
  type Kind,
  randomNumbers,
  standardKinds,
  syntheticSpace,
} from "./synthetic.ts";

setDefaultTimeout(60_000);

const VARIANTS = 25;

test(`${standardKinds.length} standard capabilities, ${VARIANTS} times with random bits, read as lspci reads them`, () => {
  const random = randomNumbers(1);
  const spaces = standardKinds.flatMap((kind: Kind) =>
    Array.from({ length: VARIANTS }, () => syntheticSpace(random, kind, undefined)),
  );
  expect(wrongWords(texts(spaces), "3.9").slice(0, 5)).toEqual([]);
});

test(`${extendedKinds.length} extended capabilities, ${VARIANTS} times with random bits, read as lspci reads them`, () => {
  const random = randomNumbers(2);
  const spaces = extendedKinds.flatMap((kind: Kind) =>
    Array.from({ length: VARIANTS }, () => syntheticSpace(random, undefined, kind)),
  );
  expect(wrongWords(texts(spaces), "3.9").slice(0, 5)).toEqual([]);
});

const DUMPS = join(import.meta.dir, "dumps");
for (const file of readdirSync(DUMPS)) {
  test(`the functions of ${file} read as lspci reads them`, () => {
    const spaces = readDump(new Uint8Array(readFileSync(join(DUMPS, file)))).map(({ address, bytes }) => ({
      bytes,
      name: `${file}, ${address}`,
    }));
    expect(spaces.length).toBeGreaterThan(5);
    expect(wrongWords(texts(spaces), "3.9")).toEqual([]);
  });
}

test(`${VARIANTS} CardBus bridges with random windows read as lspci reads them`, () => {
  const random = randomNumbers(4);
  const spaces = Array.from({ length: VARIANTS }, () => cardBusSpace(random));
  expect(wrongWords(texts(spaces), "3.9").slice(0, 5)).toEqual([]);
});

const RECORDED = join(import.meta.dir, "lspci-3.15");
for (const file of readdirSync(RECORDED)) {
  test(`the functions of ${file} read as lspci 3.15 read them`, () => {
    const pairs = recordedTexts(join(RECORDED, file));
    expect(pairs.length).toBeGreaterThan(0);
    expect(wrongWords(pairs, "3.15").slice(0, 5)).toEqual([]);
  });
}
