/** Checks a user's register table, which is never type-checked: finds what the compiler would, and more. */
import { MAX_IN_ARRAY } from "./limits.ts";
import {
  bytesOf,
  elementName,
  elementsOf,
  type Field,
  isReadable,
  isWritable,
  type Mode,
  type Register,
  type RegisterElement,
  type RegisterTable,
  type Width,
  widthMistake,
  widthOf,
} from "./table.ts";

const modes: Record<Mode, true> = { ro: true, rw: true, wo: true, rc: true, w1c: true, w1s: true };
const widths: readonly unknown[] = [8, 16, 32, 64] satisfies Width[];
const registerKeys: Record<keyof Register, true> = {
  offset: true,
  mode: true,
  about: true,
  width: true,
  order: true,
  count: true,
  stride: true,
  reset: true,
  range: true,
  fields: true,
};
const fieldKeys: Record<keyof Field, true> = { bits: true, about: true, values: true };

/** Why a value is not a RegisterTable, naming register and field; undefined if it is one. */
export function findMistake(table: unknown): string | undefined {
  if (!isObject(table))
    return 'it exports no table; write "export const registers = { ... } satisfies RegisterTable"';
  for (const [name, register] of Object.entries(table)) {
    const mistake = registerMistake(name, register);
    if (mistake !== undefined) return mistake;
  }
  const elements = elementsOf(table as RegisterTable);
  // A register that is only read and one that is only written may share a place, as status and command do on many devices.
  return (
    overlap(elements.filter(({ register }) => isReadable(register))) ??
    overlap(elements.filter(({ register }) => isWritable(register)))
  );
}

function overlap(elements: readonly RegisterElement[]): string | undefined {
  const sorted = elements.toSorted((a, b) => a.offset - b.offset);
  for (const [i, after] of sorted.entries()) {
    const before = sorted[i - 1];
    if (!before || before.offset + bytesOf(before.register) <= after.offset) continue;
    const [one, other] = [elementName(before), elementName(after)];
    return `${one} and ${other} overlap at 0x${after.offset.toString(16)}; only one that is never written and one that is never read may`;
  }
  return undefined;
}

function registerMistake(name: string, register: unknown): string | undefined {
  if (!isObject(register)) return `${name} is not a register`;
  const stranger = Object.keys(register).find((key) => !Object.hasOwn(registerKeys, key));
  if (stranger !== undefined)
    return `${name} has "${stranger}", which no register has; the keys are ${Object.keys(registerKeys).join(", ")}`;
  const { offset, mode, width = 32, order = "little", fields = {} } = register;
  if (!widths.includes(width))
    return `the width of ${name} is ${String(width)}; it must be one of ${widths.join(", ")}`;
  const bytes = (width as Width) / 8;
  if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < 0 || offset % bytes !== 0)
    return `the offset of ${name} is ${String(offset)}; it must be a multiple of ${bytes}`;
  if (order !== "little" && order !== "big")
    return `the order of ${name} is ${String(order)}; it must be little or big`;
  if (typeof mode !== "string" || !Object.hasOwn(modes, mode))
    return `the mode of ${name} is ${String(mode)}; it must be one of ${Object.keys(modes).join(", ")}`;
  const mistake =
    arrayMistake(name, register, bytes) ?? numbersMistake(name, register as unknown as Register);
  if (mistake !== undefined) return mistake;
  if (!isObject(fields)) return `the fields of ${name} must be an object`;
  /** The field that has each bit, by bit number. */
  const owners: string[] = [];
  for (const [fieldName, field] of Object.entries(fields)) {
    const mistake = fieldMistake(`${name}.${fieldName}`, field, width as Width);
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

/** `count` and `stride`. */
function arrayMistake(
  name: string,
  { count, stride }: Record<string, unknown>,
  bytes: number,
): string | undefined {
  if (count === undefined)
    return stride === undefined ? undefined : `${name} has a stride, but no count, so it is no array`;
  const isCount = typeof count === "number" && Number.isInteger(count) && count >= 1 && count <= MAX_IN_ARRAY;
  if (!isCount) return `the count of ${name} is ${String(count)}; it must be from 1 to ${MAX_IN_ARRAY}`;
  if (stride === undefined) return undefined;
  const isStride =
    typeof stride === "number" && Number.isSafeInteger(stride) && stride >= bytes && stride % bytes === 0;
  return isStride
    ? undefined
    : `the stride of ${name} is ${String(stride)}; it must be a multiple of ${bytes} bytes, its width`;
}

/** `reset` and `range`. */
function numbersMistake(name: string, register: Register): string | undefined {
  const { reset = 0, range } = register;
  const isNumber = (value: unknown) => typeof value === "number" || typeof value === "bigint";
  const misfit = (value: unknown) =>
    !isNumber(value) || widthMistake(register, value as number | bigint) !== undefined;
  if (misfit(reset))
    return `the reset value of ${name} is ${String(reset)}; it must be a whole number of ${widthOf(register)} bits`;
  if (range === undefined) return undefined;
  const [low, high, ...more] = Array.isArray(range) ? (range as typeof range) : [Number.NaN, Number.NaN];
  const half = 2 ** (widthOf(register) - 1);
  const isNegative = isNumber(low) && low < 0 && low >= -half && high < half;
  const fits = (misfit(low) ? isNegative : !misfit(high)) && low <= high;
  if (!fits || more.length > 0)
    return `the range of ${name} must be [low, high], whole numbers of ${widthOf(register)} bits`;
  return undefined;
}

function fieldMistake(name: string, field: unknown, width: Width): string | undefined {
  if (!isObject(field)) return `${name} is not a field`;
  const stranger = Object.keys(field).find((key) => !Object.hasOwn(fieldKeys, key));
  if (stranger !== undefined)
    return `${name} has "${stranger}", which no field has; the keys are ${Object.keys(fieldKeys).join(", ")}`;
  const [low, high, ...more] = Array.isArray(field.bits) ? (field.bits as unknown[]) : [];
  if (!isBit(low, width) || !isBit(high, width) || low > high || more.length > 0)
    return `the bits of ${name} must be [low, high], from 0 to ${width - 1}`;
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

function isBit(value: unknown, width: Width): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < width;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
