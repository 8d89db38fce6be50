/** Reads a table's registers and shows them by name. */
import { getField, type Register, type RegisterIo, valueName } from "./table.ts";

export interface RegisterValue {
  readonly name: string;
  readonly register: Register;
  /** Undefined for a write-only register, which is not read. */
  readonly value: number | undefined;
}

/** Reads each register once, in order. Throws Error, before any read, if one lies outside the region. */
export function readRegisters(
  bar: Pick<RegisterIo, "read32"> & { readonly index: number; readonly sizeBytes: number },
  tableName: string,
  chosen: readonly [name: string, register: Register][],
): RegisterValue[] {
  for (const [name, { offset }] of chosen) {
    if (offset + 4 > bar.sizeBytes)
      throw new Error(
        `${name} of table ${tableName} lies at 0x${offset.toString(16)}, and BAR${bar.index} has 0x${bar.sizeBytes.toString(16)} bytes; is it in another BAR?`,
      );
  }
  return chosen.map(([name, register]) => {
    const value = register.mode === "wo" ? undefined : bar.read32(register.offset);
    return { name, register, value };
  });
}

/** All eight hexadecimal digits. */
const hex = (value: number) => `0x${value.toString(16).padStart(8, "0")}`;

/** `NAME+` or `NAME-`, as in lspci, for a single bit without named values; `NAME=VALUE` for other fields. */
function showFields({ fields = {} }: Register, value: number): string {
  const shown = Object.entries(fields).map(([name, field]) => {
    const content = getField(field, value);
    if (field.bits[0] === field.bits[1] && !field.values) return name + (content ? "+" : "-");
    return `${name}=${valueName(field, content)}`;
  });
  return shown.join(" ");
}

/** One line per register: offset, name, value, and its fields, or the value in decimal if it has none. */
export function showRegisters(values: readonly RegisterValue[]): string {
  const nameWidth = Math.max(...values.map(({ name }) => name.length));
  const offsetDigits = Math.max(3, ...values.map(({ register }) => register.offset.toString(16).length));
  const lines = values.map(({ name, register, value }) => {
    const place = `0x${register.offset.toString(16).padStart(offsetDigits, "0")}  ${name.padEnd(nameWidth)}`;
    if (value === undefined) return `${place}  write-only`;
    return `${place}  ${hex(value)}  ${register.fields ? showFields(register, value) : value}`;
  });
  return lines.join("\n");
}

/** By register name: offset, mode, value, and the fields by name, each with its number and any value name. */
export function registersAsJson(values: readonly RegisterValue[]): Record<string, unknown> {
  const described = values.map(({ name, register, value }) => {
    const { offset, mode, fields } = register;
    if (value === undefined) return [name, { offset, mode, value: null }];
    const parts = fields && {
      fields: Object.fromEntries(
        Object.entries(fields).map(([field, description]) => {
          const content = getField(description, value);
          const named = description.values && { name: valueName(description, content) };
          return [field, { value: content, ...named }];
        }),
      ),
    };
    return [name, { offset, mode, value: hex(value), ...parts }];
  });
  return Object.fromEntries(described);
}
