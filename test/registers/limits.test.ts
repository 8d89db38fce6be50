import { expect, test } from "bun:test";
import { DescriptionError } from "../../src/registers/import/description.ts";
import { bitNumber, countNumber, ipXactNumber, svdNumber } from "../../src/registers/import/number.ts";
import { openBudget, placeRegister } from "../../src/registers/import/place.ts";
import { readDescription } from "../../src/registers/import/read.ts";
import { dimOf } from "../../src/registers/import/svd-dim.ts";
import { parseXml } from "../../src/registers/import/xml.ts";
import {
  MAX_BITS,
  MAX_COUNT,
  MAX_DEPTH,
  MAX_DESCRIPTION_BYTES,
  MAX_DIGITS,
  MAX_IN_ARRAY,
  MAX_IN_ARRAYS,
  MAX_LABELS,
  MAX_UNROLLED,
} from "../../src/registers/limits.ts";
import { findMistake } from "../../src/registers/mistake.ts";
import { ROOT } from "../scripts/rig.ts";

test("a description that is too large is refused, also where it has no end", () => {
  expect(() => readDescription(new Uint8Array(MAX_DESCRIPTION_BYTES + 1))).toThrow(DescriptionError);
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, `${ROOT}/scripts/registers.ts`, "/dev/zero"]);
  expect([exitCode, stderr.toString()]).toEqual([
    1,
    expect.stringContaining(`it has more than ${MAX_DESCRIPTION_BYTES} bytes`),
  ]);
});

test("elements that are nested too deeply are refused", () => {
  const deep = (depth: number) => `${"<a>".repeat(depth)}${"</a>".repeat(depth)}`;
  expect(parseXml(deep(MAX_DEPTH)).name).toBe("a");
  expect(() => parseXml(deep(MAX_DEPTH + 1))).toThrow(`nested more than ${MAX_DEPTH} deep`);
});

test("a number that is too long or too large is refused", () => {
  expect([ipXactNumber, svdNumber].map((number) => number("1".repeat(MAX_DIGITS)))).not.toContain(undefined);
  expect([ipXactNumber, svdNumber].map((number) => number("1".repeat(MAX_DIGITS + 1)))).toEqual([
    undefined,
    undefined,
  ]);
  expect([bitNumber(BigInt(MAX_BITS)), bitNumber(BigInt(MAX_BITS) + 1n)]).toEqual([MAX_BITS, undefined]);
  expect([countNumber(BigInt(MAX_COUNT)), countNumber(BigInt(MAX_COUNT) + 1n)]).toEqual([
    MAX_COUNT,
    undefined,
  ]);
});

test("the elements of an array with too many names are counted", () => {
  const labelsOf = (count: number) => {
    const dim = dimOf(
      parseXml(`<r><dim>${count}</dim><dimIncrement>4</dimIncrement><dimIndex>1-${count}</dimIndex></r>`),
    );
    return typeof dim === "object" ? dim.labels?.length : dim;
  };
  expect([labelsOf(MAX_LABELS), labelsOf(MAX_LABELS + 1)]).toEqual([MAX_LABELS, undefined]);
});

test("an array of too many registers is refused, and so are arrays with too many together", () => {
  const named = (count: number) =>
    placeRegister(0n, [{ count, strideBytes: 4n, labels: Array.from({ length: count }, (_, i) => `N${i}`) }]);
  expect([named(MAX_UNROLLED)?.length, named(MAX_UNROLLED + 1)]).toEqual([MAX_UNROLLED, undefined]);
  const budget = openBudget();
  expect([budget.take(MAX_IN_ARRAYS), budget.take(1)]).toEqual([true, false]);
});

test("an array of a table that is too long is a mistake", () => {
  const table = (count: number) => ({ A: { offset: 0, mode: "rw", about: "", count } });
  expect(findMistake(table(MAX_IN_ARRAY))).toBeUndefined();
  expect(findMistake(table(MAX_IN_ARRAY + 1))).toContain("A");
});
