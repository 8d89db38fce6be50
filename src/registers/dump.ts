/** Reads a table's registers and shows them by name. */
import { openValue, type RegisterIo } from "./access.ts";
import { getField, valueName } from "./fields.ts";
import { bytesOf, elementName, isReadable, type Register, type RegisterElement, widthOf } from "./table.ts";

/** A register and what it read as. */
export interface RegisterValue extends RegisterElement {
  /** A bigint for 64 bits. Undefined if it was not read. */
  readonly value: number | bigint | undefined;
}

/**
 * Reads each register once, in order, but no write-only ones, and those that a read clears only with `clearing`. Throws Error,
 * before any read, if one lies outside the region.
 */
export function readRegisters(
  bar: RegisterIo & { readonly index: number; readonly sizeBytes: number },
  tableName: string,
  chosen: readonly RegisterElement[],
  clearing: boolean,
): RegisterValue[] {
  for (const element of chosen) {
    const { offset, register } = element;
    if (offset + bytesOf(register) > bar.sizeBytes)
      throw new Error(
        `${elementName(element)} of table ${tableName} lies at 0x${offset.toString(16)}, and BAR${bar.index} has 0x${bar.sizeBytes.toString(16)} bytes; is it in another BAR?`,
      );
  }
  const reads = ({ register }: RegisterElement) =>
    isReadable(register) && (clearing || register.mode !== "rc");
  return chosen.map((element) => ({
    ...element,
    value: reads(element) ? openValue(element, bar).read() : undefined,
  }));
}

/** All hexadecimal digits of the register's width. */
const hex = (value: number | bigint, register: Register) =>
  `0x${value.toString(16).padStart(widthOf(register) / 4, "0")}`;

/** `NAME+` or `NAME-`, as in lspci, for a single bit without named values; `NAME=VALUE` for other fields. */
function showFields({ fields = {} }: Register, value: number | bigint): string {
  const shown = Object.entries(fields).map(([name, field]) => {
    const content = getField(field, value);
    if (field.bits[0] === field.bits[1] && !field.values) return name + (content ? "+" : "-");
    return `${name}=${valueName(field, content)}`;
  });
  return shown.join(" ");
}

/** One line per register: offset, name, value, and its fields, or the value in decimal if it has none. */
export function showRegisters(values: readonly RegisterValue[]): string {
  const nameWidth = Math.max(...values.map((value) => elementName(value).length));
  const offsetDigits = Math.max(3, ...values.map(({ offset }) => offset.toString(16).length));
  const digits = Math.max(8, ...values.map(({ register }) => widthOf(register) / 4));
  const lines = values.map(({ offset, register, value, ...place }) => {
    const at = `0x${offset.toString(16).padStart(offsetDigits, "0")}  ${elementName(place).padEnd(nameWidth)}`;
    if (value === undefined)
      return `${at}  ${register.mode === "rc" ? "not read, since that clears it" : "write-only"}`;
    const shown = hex(value, register).padEnd(2 + digits);
    return `${at}  ${shown}  ${register.fields ? showFields(register, value) : value}`;
  });
  return lines.join("\n");
}

/**
 * By register name: offset, mode, width, value, and the fields by name, each with its number and any value name. Numbers of 64
 * bits are hexadecimal text where JSON's numbers would not be exact.
 */
export function registersAsJson(values: readonly RegisterValue[]): Record<string, unknown> {
  const described = values.map(({ register, offset, value, ...place }) => {
    const { mode, fields } = register;
    const name = elementName(place);
    const common = { offset, mode, width: widthOf(register) };
    if (value === undefined) return [name, { ...common, value: null }];
    const parts = fields && {
      fields: Object.fromEntries(
        Object.entries(fields).map(([field, description]) => {
          const content = getField(description, value);
          const named = description.values && { name: valueName(description, content) };
          const exact = content <= Number.MAX_SAFE_INTEGER ? Number(content) : `0x${content.toString(16)}`;
          return [field, { value: exact, ...named }];
        }),
      ),
    };
    return [name, { ...common, value: hex(value, register), ...parts }];
  });
  return Object.fromEntries(described);
}
