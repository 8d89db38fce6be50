/** A register table as Markdown, for the document of a device. */
import type { Field, Register, RegisterTable } from "./table.ts";

/** What a device's own document says of a register beyond its table. */
export interface RegisterWords {
  /** Its value after a reset; undefined for the number itself. */
  reset?(register: Register): string | undefined;
  /** What it is for; `about` alone where absent. */
  meaning?(register: Register): string;
}

/** A row for each register, in the table's order: offset, name, access, reset value, and its meaning with its fields. */
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
