/**
 * The table of web-platform-tests in docs/webcodecs.md. `bun test/vp9/encoder/wpt/table.ts` writes it there; wpt.test.ts runs
 * its rows, and checks that the document has it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rows as config } from "./config.ts";
import type { Row } from "./row.ts";
import { rows as streams } from "./streams.ts";
import { rows as videoEncoder } from "./video-encoder.ts";

export const rows: readonly Row[] = [...videoEncoder, ...config, ...streams];
export const DOCUMENT = join(import.meta.dir, "../../../../docs/webcodecs.md");

const BEGIN = "<!-- bun test/vp9/encoder/wpt/table.ts writes what follows -->\n";
const END = "<!-- end -->\n";

/** Tests of web-platform-tests that rows are about: each variant counts. */
export function count(of: readonly Row[]): number {
  return of.reduce((sum, { variants }) => sum + (variants?.length ?? 1), 0);
}

function markdown(): string {
  const of = (outcome: Row["outcome"]) => count(rows.filter((row) => row.outcome === outcome));
  const summary = `Of ${count(rows)} tests ${of("passes")} pass, ${of("differs")} differ by design, and ${of("does not apply")} do not apply.`;
  const files = [...new Set(rows.map(({ file }) => file))].map((file) => {
    const lines = rows.filter((row) => row.file === file).map(line);
    return `\n### ${file}\n\n| test | here | |\n| --- | --- | --- |\n${lines.join("")}`;
  });
  return `${summary}\n${files.join("")}`;
}

function line({ test, variants, outcome, why = "" }: Row): string {
  const names = variants ? ` (${variants.map((name) => `?${name}`).join(", ")})` : "";
  return `| ${test.replaceAll("|", "\\|")}${names} | ${outcome} | ${why} |\n`;
}

/** The document with the table of these rows. */
export function withTable(document: string): string {
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error("docs/webcodecs.md has lost its marks");
  return `${before}${BEGIN}${markdown()}${END}${after}`;
}

if (import.meta.main) writeFileSync(DOCUMENT, withTable(readFileSync(DOCUMENT, "utf8")));
