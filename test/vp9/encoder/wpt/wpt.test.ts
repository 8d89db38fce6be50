/** The tests of web-platform-tests for VideoEncoder, as docs/webcodecs.md has them. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { count, DOCUMENT, rows, withTable } from "./table.ts";

setDefaultTimeout(60_000);

const named = rows.map((row) => ({
  ...row,
  name: `${row.file}: ${row.test}${row.variants ? ` ?${row.variants.join(", ?")}` : ""}`,
}));

describe("passes:", () => {
  for (const row of named) if (row.outcome === "passes") test(row.name, row.run);
});

describe("differs, as the table says:", () => {
  for (const row of named) if (row.outcome === "differs") test(row.name, row.run);
});

test("docs/webcodecs.md has the table of these rows", () => {
  const document = readFileSync(DOCUMENT, "utf8");
  expect(withTable(document)).toBe(document);
});

test("each test is in one row, and none of a file is missing", () => {
  expect(new Set(named.map(({ name }) => name)).size).toBe(named.length);
  const files = Map.groupBy(rows, ({ file }) => file);
  expect([...files].map(([file, of]) => [file, count(of)])).toEqual([
    ["video-encoder.https.any.js", 9],
    ["video-encoder-flush.https.any.js", 1],
    ["video-encoder-content-hint.https.any.js", 1],
    ["video-encoder-config.https.any.js", 37],
    ["reconfiguring-encoder.https.any.js", 6],
    ["full-cycle-test.https.any.js", 16],
    ["temporal-svc-encoding.https.any.js", 4],
    ["per-frame-qp-encoding.https.any.js", 6],
    ["video-encoder-flexible-input-formats.https.any.js", 10],
    ["video-encoder-rescaling.https.any.js", 42],
    ["video-encoder-h264.https.any.js", 4],
    ["video-encoder-av1.https.any.js", 1],
  ]);
});
