import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RegisterTable } from "../../../src/registers/table.ts";
import { encoderDocument } from "../../../src/vp9/contract/document.ts";
import { MAGIC, REGISTER_BYTES, registers } from "../../../src/vp9/contract/registers.ts";
import {
  COMPLETION_BYTES,
  completionFields,
  type EntryField,
  SEGMENT_BYTES,
  SUBMISSION_BYTES,
  segmentFields,
  submissionFields,
} from "../../../src/vp9/contract/rings.ts";

test("docs/encoder.md is what the tables say; bun run docs.ts writes it anew", () => {
  expect(readFileSync(join(import.meta.dir, "../../../docs/encoder.md"), "utf8")).toBe(
    encoderDocument("bun run docs.ts"),
  );
});

test("registers are aligned, apart, in the BAR, and their fields apart and in the word", () => {
  const table = Object.entries(registers as RegisterTable);
  expect(new Set(table.map(([, { offset }]) => offset)).size).toBe(table.length);
  for (const [name, { offset, fields }] of table) {
    expect([name, offset % 4, offset + 4 <= REGISTER_BYTES]).toEqual([name, 0, true]);
    let used = 0n;
    for (const {
      bits: [low, high],
      values,
    } of Object.values(fields ?? {})) {
      const mask = ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
      expect([name, low <= high && high < 32, used & mask]).toEqual([name, true, 0n]);
      used |= mask;
      for (const value of Object.values(values ?? {}))
        expect(BigInt(value) <= mask >> BigInt(low)).toBe(true);
    }
  }
  expect(new TextDecoder().decode(new Uint32Array([MAGIC]))).toBe("VP9E");
});

test.each([
  ["submission", submissionFields, SUBMISSION_BYTES],
  ["segment", segmentFields, SEGMENT_BYTES],
  ["completion", completionFields, COMPLETION_BYTES],
] as [string, Record<string, EntryField>, number][])(
  "a %s's fields are aligned, apart and in the entry",
  (_, fields, sizeBytes) => {
    let end = 0;
    for (const { offset, bits } of Object.values(fields).sort((a, b) => a.offset - b.offset)) {
      expect(offset % (bits / 8)).toBe(0);
      expect(offset).toBeGreaterThanOrEqual(end);
      end = offset + bits / 8;
    }
    expect(end).toBeLessThanOrEqual(sizeBytes);
  },
);
