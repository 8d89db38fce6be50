/**
 * Tables of configuration registers. One literal gives each field's name in the specification, its place, and
 * its name in lspci. The structured form and the text are both made from it.
 */
import type { Scope } from "./scope.ts";

/** Numbers are numbers, flags booleans, encoded choices their names, and 64-bit quantities hexadecimal strings. */
type FieldValue = number | boolean | string;

/** When a field or register exists; by default always. */
export type Condition = (scope: Scope) => boolean;

export interface FieldLayout {
  readonly bits: readonly [low: number, high: number];
  /**
   * Its part of the register's text, in which {} stands for the value; "" shows it only in the structured
   * form. A leading newline starts a new line; a comma or semicolon joins the word before it.
   */
  readonly text: string | ((scope: Scope) => string);
  readonly value: (raw: bigint, scope: Scope) => FieldValue;
  /** Number of digits, if the value is shown in hexadecimal. */
  readonly hexDigits?: number;
  /** Shown only if it is not 0: for bits that few devices have. */
  readonly quiet?: boolean;
  readonly when?: Condition | undefined;
}

export interface RegisterLayout {
  /** The specification's name, in camel case. */
  readonly name: string;
  /** Bytes from the capability's start. */
  readonly offset: number;
  readonly sizeBytes: 1 | 2 | 4 | 8;
  /** The start of its line. */
  readonly label: string;
  readonly fields: Readonly<Record<string, FieldLayout>>;
  readonly when?: Condition | undefined;
  /** Lines, without label and indentation, for a register whose text is not a row of fields. */
  readonly lines?: (fields: Readonly<Record<string, FieldValue>>, scope: Scope) => string[];
}

/** A bit, shown as its name and + or -. */
export function flag(bit: number, text: FieldLayout["text"], when?: Condition): FieldLayout {
  const signed = (name: string) => (name === "" || name.includes("{}") ? name : `${name}{}`);
  return {
    bits: [bit, bit],
    text: typeof text === "string" ? signed(text) : (scope) => signed(text(scope)),
    value: (raw) => raw !== 0n,
    when,
  };
}

/** A bit that is shown only when it is set. */
export function rareFlag(bit: number, text: string): FieldLayout {
  return { ...flag(bit, text), quiet: true };
}

/** An unsigned number, as it is or as `value` converts it. */
export function number(
  low: number,
  high: number,
  text: string,
  value: (raw: number, scope: Scope) => FieldValue = (raw) => raw,
  when?: Condition,
): FieldLayout {
  return { bits: [low, high], text, value: (raw, scope) => value(Number(raw), scope), when };
}

/** An unsigned number below 2^53 that people read in hexadecimal. */
export function hex(
  low: number,
  high: number,
  hexDigits: number,
  text: string,
  when?: Condition,
): FieldLayout {
  return { bits: [low, high], text, hexDigits, value: Number, when };
}

/** A 64-bit address or mask: these bits in place, the others 0. */
export function wide(low: number, high: number, text: string, when?: Condition): FieldLayout {
  return {
    bits: [low, high],
    text,
    value: (raw) => `0x${(raw << BigInt(low)).toString(16).padStart(16, "0")}`,
    when,
  };
}

/** A choice by name. A value without a name is "??" and the number, or as `unnamed` gives it. */
export function choice(
  low: number,
  high: number,
  text: string,
  names: readonly string[] | Readonly<Record<number, string>>,
  when?: Condition,
  unnamed: (raw: number) => string = (raw) => `??${raw}`,
): FieldLayout {
  const named = names as Readonly<Record<number, string>>;
  return number(low, high, text, (raw) => named[raw] ?? unnamed(raw), when);
}

/** A register of configuration space with its fields. */
export interface DecodedRegister {
  readonly name: string;
  /** In configuration space. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** The whole register; a hexadecimal string if it has 64 bits. */
  readonly value: number | string;
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Its text, line by line. */
  readonly lines: readonly string[];
}

/** Decodes a register; undefined if it does not exist or its bytes are not available. */
export function decodeRegister(register: RegisterLayout, scope: Scope): DecodedRegister | undefined {
  const { name, offset, sizeBytes, label } = register;
  if (!scope.has(offset, sizeBytes) || register.when?.(scope) === false) return undefined;
  const raw = sizeBytes === 8 ? scope.read64(offset) : BigInt(scope.read(offset, sizeBytes));
  const fields: Record<string, FieldValue> = {};
  let text = label;
  for (const [key, field] of Object.entries(register.fields)) {
    if (field.when?.(scope) === false) continue;
    const [low, high] = field.bits;
    const bits = (raw >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
    const value = field.value(bits, scope);
    fields[key] = value;
    const piece = typeof field.text === "string" ? field.text : field.text(scope);
    // "<error>" and the like have no unit.
    const place = typeof value === "string" && value.startsWith("<") ? /\{\}[a-z]*/ : "{}";
    if (piece !== "" && !(field.quiet && bits === 0n))
      text = join(
        text,
        piece.replace(place, () => show(field, value)),
      );
  }
  const value = sizeBytes === 8 ? `0x${raw.toString(16).padStart(16, "0")}` : Number(raw);
  const lines = register.lines?.(fields, scope) ?? (text === "" ? [] : text.split("\n"));
  return { name, offset: scope.base + offset, sizeBytes, value, fields, lines };
}

function show(field: FieldLayout, value: FieldValue): string {
  if (typeof value === "boolean") return value ? "+" : "-";
  if (field.hexDigits !== undefined && typeof value === "number")
    return value.toString(16).padStart(field.hexDigits, "0");
  return typeof value === "string" ? value.replace(/^0x/, "") : String(value);
}

function join(text: string, piece: string): string {
  if (text === "" || text.endsWith("\n")) return text + piece.trimStart();
  return /^[\n,;:/.-]/.test(piece) ? text + piece : `${text} ${piece}`;
}
