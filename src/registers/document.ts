/** Renders a register table as Markdown, for a device's document. */
import type { Field, Register, RegisterTable } from "./table.ts";

/** Text about a register that a device's document adds to its table. */
export interface RegisterWords {
  /** The reset value in words; undefined to show the number. */
  reset?(register: Register): string | undefined;
  /** The register's purpose; its `about` if absent. */
  meaning?(register: Register): string;
}

/** One row per register, in the table's order: offset, name, access, reset value, and meaning with fields. */
export function registersMarkdown(table: RegisterTable, words: RegisterWords = {}): string {
  const rows = Object.entries(table).map(([name, register]) => [
    hex(register.offset, 3),
    name,
    register.mode,
    words.reset?.(register) ?? hex(register.reset ?? 0, 1),
    [
      words.meaning?.(register) ?? register.about,
      ...Object.entries(register.fields ?? {}).map(([field, value]) => fieldText(field, value)),
    ].join("<br>"),
  ]);
  return markdownTable(["Offset", "Name", "Access", "Reset", "Meaning"], rows);
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function fieldText(name: string, { bits: [low, high], about, values }: Field): string {
  const named = values
    ? ` (${Object.entries(values)
        .map(([value, code]) => `${code} ${value}`)
        .join(", ")})`
    : "";
  return `${low === high ? `bit ${low}` : `bits ${low}-${high}`} **${name}**: ${about}${named}`;
}

const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, "0")}`;
