/** Checks a user's register table, which is never type-checked: finds what the compiler would, and more. */
import type { Field, Mode, Register } from "./table.ts";

const modes: Record<Mode, true> = { ro: true, rw: true, wo: true, rw1c: true };
const registerKeys: Record<keyof Register, true> = {
  offset: true,
  mode: true,
  about: true,
  reset: true,
  range: true,
  fields: true,
};
const fieldKeys: Record<keyof Field, true> = { bits: true, about: true, values: true };

/** Why a value is not a RegisterTable, naming register and field; undefined if it is one. */
export function findMistake(table: unknown): string | undefined {
  if (!isObject(table))
    return 'it exports no table; write "export const registers = { ... } satisfies RegisterTable"';
  /** Register names by access and offset, e.g. "read 16". */
  const taken = new Map<string, string>();
  for (const [name, register] of Object.entries(table)) {
    const mistake = registerMistake(name, register);
    if (mistake !== undefined) return mistake;
    const { offset, mode } = register as { offset: number; mode: Mode };
    // A read-only and a write-only register may share an offset, as status and command do on many devices.
    for (const way of mode === "ro" ? ["read"] : mode === "wo" ? ["write"] : ["read", "write"]) {
      const other = taken.get(`${way} ${offset}`);
      if (other !== undefined)
        return `${name} and ${other} have the same offset, 0x${offset.toString(16)}; only a ro and a wo register may`;
      taken.set(`${way} ${offset}`, name);
    }
  }
  return undefined;
}

function registerMistake(name: string, register: unknown): string | undefined {
  if (!isObject(register)) return `${name} is not a register`;
  const stranger = Object.keys(register).find((key) => !Object.hasOwn(registerKeys, key));
  if (stranger !== undefined)
    return `${name} has "${stranger}", which no register has; the keys are ${Object.keys(registerKeys).join(", ")}`;
  const { offset, mode, reset = 0, fields = {} } = register;
  if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < 0 || offset % 4 !== 0)
    return `the offset of ${name} is ${String(offset)}; it must be a multiple of 4`;
  if (typeof reset !== "number" || !Number.isInteger(reset) || reset < 0 || reset > 0xffff_ffff)
    return `the reset value of ${name} is ${String(reset)}; it must be a whole number of 32 bits`;
  if (typeof mode !== "string" || !Object.hasOwn(modes, mode))
    return `the mode of ${name} is ${String(mode)}; it must be one of ${Object.keys(modes).join(", ")}`;
  if (!isObject(fields)) return `the fields of ${name} must be an object`;
  /** The field that has each bit, by bit number. */
  const owners: string[] = [];
  for (const [fieldName, field] of Object.entries(fields)) {
    const mistake = fieldMistake(`${name}.${fieldName}`, field);
    if (mistake !== undefined) return mistake;
    const [low, high] = (field as Field).bits;
    for (let bit = low; bit <= high; bit++) {
      if (owners[bit] !== undefined)
        return `${name}.${fieldName} and ${name}.${owners[bit]} both have bit ${bit}`;
      owners[bit] = fieldName;
    }
  }
  return undefined;
}

function fieldMistake(name: string, field: unknown): string | undefined {
  if (!isObject(field)) return `${name} is not a field`;
  const stranger = Object.keys(field).find((key) => !Object.hasOwn(fieldKeys, key));
  if (stranger !== undefined)
    return `${name} has "${stranger}", which no field has; the keys are ${Object.keys(fieldKeys).join(", ")}`;
  const [low, high, ...more] = Array.isArray(field.bits) ? (field.bits as unknown[]) : [];
  if (!isBit(low) || !isBit(high) || low > high || more.length > 0)
    return `the bits of ${name} must be [low, high], from 0 to 31`;
  const { values = {} } = field;
  const most = 2 ** (high - low + 1) - 1;
  const fits = (value: unknown) =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
  if (!isObject(values)) return `the values of ${name} must be an object`;
  const misfit = Object.entries(values).find(([, value]) => !fits(value));
  if (misfit)
    return `the value ${misfit[0]} of ${name} is ${String(misfit[1])}; it must be from 0 to ${most}`;
  return undefined;
}

function isBit(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 32;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
