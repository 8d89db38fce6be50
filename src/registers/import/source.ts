/** A register table as TypeScript. */
import type { RegisterTable } from "../table.ts";

const COLUMNS = 110;
/** Numbers that are read in hexadecimal. */
const inHex = ["offset", "stride", "reset"];

/** A file's text that exports the table as `registers`; `head` is its first comment. */
export function tableSource(table: RegisterTable, head: string): string {
  const entries = Object.entries(table).map(
    ([name, register]) => `  ${name}: ${shown(register, 2, name)},\n`,
  );
  // What a file calls itself must not end the comment.
  const comment = head.replace(/[^\w.,:;()/'"-]+/g, " ").trim();
  return `/** ${comment} */
import type { RegisterTable } from "vfiokit/registers";

export const registers = {
${entries.join("")}} as const satisfies RegisterTable;
`;
}

/** A value behind its key, at this indent: in one line if that fits. As Biome formats it. */
function shown(value: unknown, indent: number, key: string): string {
  if (typeof value === "bigint") return `0x${value.toString(16)}n`;
  if (typeof value === "number") return inHex.includes(key) ? `0x${value.toString(16)}` : String(value);
  if (Array.isArray(value)) return `[${value.map((part) => shown(part, 0, "")).join(", ")}]`;
  const inLine = (text: string) => !text.includes("\n") && indent + `${key}: ${text},`.length <= COLUMNS;
  const pad = `\n${" ".repeat(indent)}`;
  if (typeof value !== "object" || value === null) {
    const quoted = JSON.stringify(value);
    const isOdd = quoted.includes('\\"') && !quoted.includes("'");
    const text = isOdd ? `'${quoted.slice(1, -1).replaceAll('\\"', '"')}'` : quoted;
    return inLine(text) ? text : `${pad}  ${text}`;
  }
  const parts = Object.entries(value).map(([name, part]) => {
    const text = shown(part, indent + 2, name);
    return `${name}:${text.startsWith("\n") ? "" : " "}${text}`;
  });
  const line = `{ ${parts.join(", ")} }`;
  return inLine(line) ? line : `{${parts.map((part) => `${pad}  ${part},`).join("")}${pad}}`;
}
