/** The table of settings in docs/encode.md. */
import { markdownTable } from "../../src/registers/document.ts";
import { settingColumns, settingRows } from "../encode/settings.ts";

/** The first table under the heading "Settings". */
const TABLE = /(?<=\n## Settings\n(?:(?!\n## ).)*?\n\n)\|[^\n]*(?:\n\|[^\n]*)*/s;

/** Names in code style, but not what says that a name is the same. */
const code = (names: string) => (names === "same" ? names : names.replace(/[-\w]+/g, "`$&`"));

/** The document with the table as encode.ts's options are. */
export function withSettingsTable(document: string): string {
  if (!TABLE.test(document)) throw new Error('docs/encode.md has no table under the heading "Settings"');
  const rows = settingRows.map((row) => row.map((cell, column) => (column < 3 ? code(cell) : cell)));
  return document.replace(TABLE, markdownTable(settingColumns, rows));
}
