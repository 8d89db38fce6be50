/** The fields of a register's value. Values and fields of 64-bit registers are bigints. */
import { type Field, type Register, type ValueOf, widthOf } from "./table.ts";

/** A value for each field of a register; fields left out are 0. */
export type FieldValues<R extends Register> = { readonly [F in keyof R["fields"]]?: number | ValueOf<R> };

/** The fields that a register's value has. */
export type Fields<R extends Register> = { readonly [F in keyof R["fields"]]: ValueOf<R> };

/** A field's mask in place, e.g. bits 8-15 → 0xff00. For registers of up to 32 bits. */
export function fieldMask(field: Field): number {
  const [low, high] = field.bits;
  return ((2 ** (high - low + 1) - 1) * 2 ** low) >>> 0;
}

/** Extracts a field's value from a register's value. */
export function getField(field: Field, value: number): number;
export function getField(field: Field, value: bigint): bigint;
export function getField(field: Field, value: number | bigint): number | bigint;
export function getField(field: Field, value: number | bigint): number | bigint {
  const [low, high] = field.bits;
  return typeof value === "bigint"
    ? BigInt.asUintN(high - low + 1, value >> BigInt(low))
    : (value & fieldMask(field)) >>> low;
}

/** Packs fields into a register's value. Throws RangeError on an unknown field or a value that is too large. */
export function packFields<R extends Register>(register: R, values: FieldValues<R>): ValueOf<R> {
  let packed = 0n;
  for (const [name, value] of Object.entries(values as Record<string, number | bigint>)) {
    const field = register.fields?.[name];
    if (!field) throw new RangeError(`register at 0x${register.offset.toString(16)} has no field ${name}`);
    const [low, high] = field.bits;
    const isWhole = typeof value === "bigint" || Number.isInteger(value);
    if (!isWhole || value < 0 || value >= 2 ** (high - low + 1)) {
      throw new RangeError(`${value} does not fit field ${name}, bits ${low} to ${high}`);
    }
    packed |= BigInt(value) << BigInt(low);
  }
  return (widthOf(register) === 64 ? packed : Number(packed)) as ValueOf<R>;
}

/** Splits a register's value into its fields' values. */
export function unpackFields<R extends Register>(register: R, value: ValueOf<R>): Fields<R> {
  const values = Object.entries(register.fields ?? {}).map(([name, field]) => [name, getField(field, value)]);
  return Object.fromEntries(values) as Fields<R>;
}

/** The name of a field's value, for messages: "RUNNING", or the number if it has no name. */
export function valueName(field: Field, value: number | bigint): string {
  for (const [name, number] of Object.entries(field.values ?? {}))
    if (BigInt(number) === BigInt(value)) return name;
  return String(value);
}
