/** Renders a register table as Markdown, for a device's document. */
import { bytesOf, type Field, type Register, type RegisterTable, widthOf } from "./table.ts";

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
    register.count === undefined ? name : `${name}[${register.count}]`,
    register.mode,
    words.reset?.(register) ?? hex(register.reset ?? 0, 1),
    [
      [words.meaning?.(register) ?? register.about, ...shape(register)].join("; "),
      ...Object.entries(register.fields ?? {}).map(([field, value]) => fieldText(field, value)),
    ].join("<br>"),
  ]);
  return markdownTable(["Offset", "Name", "Access", "Reset", "Meaning"], rows);
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** What differs from a single little-endian register of 32 bits. */
function shape(register: Register): string[] {
  const { count, stride = bytesOf(register), order } = register;
  return [
    ...(widthOf(register) === 32 ? [] : [`${widthOf(register)} bits`]),
    ...(order === "big" ? ["big-endian"] : []),
    ...(count === undefined ? [] : [`one every ${hex(stride, 1)} bytes`]),
  ];
}

function fieldText(name: string, { bits: [low, high], about, values }: Field): string {
  const named = values
    ? ` (${Object.entries(values)
        .map(([value, code]) => `${code} ${value}`)
        .join(", ")})`
    : "";
  return `${low === high ? `bit ${low}` : `bits ${low}-${high}`} **${name}**: ${about}${named}`;
}

const hex = (value: number | bigint, digits: number) => `0x${value.toString(16).padStart(digits, "0")}`;
