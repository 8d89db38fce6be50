/** The fields of a described register as a table has them, and what follows from them: its mode and reset value. */
import type { Field, Mode, Register } from "../table.ts";
import {
  allBits,
  type DescribedField,
  type DescribedRegister,
  type Note,
  type Range,
} from "./description.ts";
import { type Judged, joinModes, judgeAccess } from "./mode.ts";
import { uniqueName, upperSnake } from "./name.ts";

export interface ConvertedFields {
  readonly mode: Mode;
  /** Undefined: no bit has a reset value. */
  readonly reset: bigint | undefined;
  /** Of the register's whole value. */
  readonly range: Range | undefined;
  readonly fields: Readonly<Record<string, Field>>;
}

/** Undefined, after a note: software has no access to the register. */
export function convertFields(register: DescribedRegister, note: Note): ConvertedFields | undefined {
  const kept = keepFields(register, note);
  const judged = kept.map((field) => ({ field, ...judgeAccess(field.access)! }));
  const whole: Judged | undefined =
    kept.length > 0 ? joinModes(new Set(judged.map(({ mode }) => mode))) : judgeAccess(register.access);
  if (!whole) {
    note("software has no access to it; left out");
    return undefined;
  }
  if (whole.lost !== undefined) note(whole.lost);
  for (const [lost, names] of Map.groupBy(judged, ({ lost }) => lost))
    if (lost !== undefined) note(`${lost}: ${names.map(({ field }) => field.name).join(", ")}`);

  const fields: Record<string, Field> = {};
  let range = limit(register.range, register.bits);
  for (const { field, mode } of judged) {
    const name = uniqueName(upperSnake(field.name), (taken) => Object.hasOwn(fields, taken));
    const limited = limit(field.range, field.bits);
    const isWhole = field.bits === register.bits;
    if (isWhole) range = limited;
    // A table has ranges of registers only.
    const special = [
      ...(mode === whole.mode ? [] : [mode]),
      ...(limited && !isWhole ? [`${limited[0]} to ${limited[1]}`] : []),
    ];
    const about = special.length > 0 ? `${field.about} (${special.join(", ")})` : field.about;
    const values = convertValues(field, note);
    const bits = [field.low, field.low + field.bits - 1] as const;
    fields[name] = { bits, about, ...(Object.keys(values).length > 0 ? { values } : {}) };
  }
  return { mode: whole.mode, reset: resetOf(register, kept, note), range, fields };
}

/** Undefined: all values, or none. */
function limit(range: Range | undefined, bits: number): Range | undefined {
  if (!range) return undefined;
  const [low, high] = range;
  const isAll = low === 0n && high === allBits(bits);
  return isAll || low > high || high > allBits(bits) ? undefined : range;
}

/** Fields that a table can have: none that is reserved, lies outside the register or over another one, or has no access. */
function keepFields({ fields, bits }: DescribedRegister, note: Note): DescribedField[] {
  const kept: DescribedField[] = [];
  const reserved = fields.filter(({ isReserved }) => isReserved);
  if (reserved.length > 0)
    note(`reserved fields are left out: ${reserved.map(({ name }) => name).join(", ")}`);
  let taken = 0n;
  for (const field of fields.toSorted((a, b) => a.low - b.low)) {
    if (field.isReserved) continue;
    const mask = field.low + field.bits > bits ? 0n : allBits(field.bits) << BigInt(field.low);
    const why =
      mask === 0n
        ? `has bits that the register does not have`
        : (taken & mask) !== 0n
          ? `lies over another one`
          : judgeAccess(field.access) === undefined
            ? `can't be accessed by software`
            : undefined;
    if (why !== undefined) note(`its field ${field.name} ${why}; left out`);
    else {
      kept.push(field);
      taken |= mask;
    }
  }
  return kept;
}

function convertValues(field: DescribedField, note: Note): Record<string, number> {
  const values: Record<string, number> = {};
  const most = allBits(field.bits);
  for (const [text, value] of field.values) {
    const name = uniqueName(upperSnake(text), (taken) => Object.hasOwn(values, taken));
    if (value <= most && value <= BigInt(Number.MAX_SAFE_INTEGER)) values[name] = Number(value);
    else note(`the value ${text} of ${field.name} is too large (${value}); left out`);
  }
  return values;
}

function resetOf(
  register: DescribedRegister,
  fields: readonly DescribedField[],
  note: Note,
): (Register["reset"] & bigint) | undefined {
  let { value, mask } = register.reset ?? { value: 0n, mask: 0n };
  for (const { low, bits, reset } of fields) {
    if (reset === undefined) continue;
    const place = allBits(bits) << BigInt(low);
    if (reset > allBits(bits)) note(`a field's reset value is too large (${reset}); its low bits count`);
    value = (value & ~place) | ((reset << BigInt(low)) & place);
    mask |= place;
  }
  if (mask === 0n) return undefined;
  if (value > allBits(register.bits))
    note(`its reset value is too large (0x${value.toString(16)}); its low bits count`);
  // What is only read comes from the hardware.
  const some = fields.filter(
    ({ low, bits, access: { access } }) =>
      access !== "read-only" && ((allBits(bits) << BigInt(low)) & ~mask) !== 0n,
  );
  if (some.length > 0)
    note(`no reset value is given for ${some.map(({ name }) => name).join(", ")}; the table has 0`);
  return value & mask & allBits(register.bits);
}
