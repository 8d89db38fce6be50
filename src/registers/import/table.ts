/** Makes a register table of described registers. */
import { MAX_IN_ARRAY } from "../limits.ts";
import { findMistake } from "../mistake.ts";
import type { Field, Register, RegisterTable, Width } from "../table.ts";
import { allBits, type DescribedRegister, type Note, pathName, type Range } from "./description.ts";
import { convertFields } from "./fields.ts";
import { uniqueName, upperSnake } from "./name.ts";
import { findHidden, openBudget, type Placed, placeRegister } from "./place.ts";

/**
 * A table that `findMistake` accepts, with `base` added to each offset. Each `note` is about what the description says and the
 * table does not; a register that no table can have is left out, with a note.
 */
export function tableOf(described: readonly DescribedRegister[], base: bigint, note: Note): RegisterTable {
  const table: Record<string, Register> = {};
  const budget = openBudget();
  /** Registers without a reset value. What is only read comes from the hardware. */
  const unset = new Set<string>();
  for (const register of described) {
    const made = convertRegister(register, (text) => note(`${pathName(register.path)}: ${text}`));
    if (!made) continue;
    for (const { labels, offset, array } of made.places) {
      let at = 0;
      const text = register.path.join("_").replaceAll("%s", () => labels[at++] ?? "");
      const name = uniqueName(upperSnake(text), (taken) => Object.hasOwn(table, taken));
      const index = labels.join("") || "n";
      const about = register.dims.length > 0 ? made.about.replaceAll("%s", () => index) : made.about;
      const entry = placed({ ...made, about }, offset + base, array);
      if (typeof entry === "string") note(`${pathName(register.path)}: ${entry}; left out`);
      else if (!budget.take(entry.count ?? 1))
        note(`${pathName(register.path)}: the arrays are too long; left out`);
      else {
        table[name] = entry;
        if (made.reset === undefined && entry.mode !== "ro" && entry.mode !== "wo") unset.add(name);
      }
    }
  }
  for (const { name, under } of findHidden(table)) {
    note(`${name}: it lies over ${under} at 0x${table[name]!.offset.toString(16)}; left out`);
    delete table[name];
    unset.delete(name);
  }
  if (unset.size > 0) note(`no reset value is given for ${list([...unset])}; the table has 0`);
  const mistake = findMistake(table);
  if (mistake !== undefined) throw new Error(`the table that was made is wrong: ${mistake}`);
  return table;
}

interface Made {
  readonly width: Width;
  readonly mode: Register["mode"];
  readonly about: string;
  readonly places: readonly Placed[];
  readonly reset: bigint | undefined;
  readonly range: Range | undefined;
  readonly fields: Readonly<Record<string, Field>>;
}

/** Undefined, after a note: it can't be in a table. */
function convertRegister(register: DescribedRegister, note: Note): Made | undefined {
  const { about, offset, bits, dims } = register;
  const places = placeRegister(offset, dims);
  if (!places || places.length === 0) {
    note("its arrays would be too many registers, or none; left out");
    return undefined;
  }
  if (places.length > 1)
    note(
      `the array became ${places.length} registers, ${dims.length > 1 ? "since it has several dimensions" : "since its elements have names"}`,
    );
  if (bits > 64) return wideRegister(register, places, note);
  const width = ([8, 16, 32, 64] as const).find((width) => width >= bits)!;
  if (width !== bits)
    note(`it has ${bits} bits; the table has ${width}, all of which an access reads or writes`);
  const converted = convertFields(register, note);
  return converted && { width, about, places, ...converted };
}

/** More than 64 bits become an array of 32-bit words. */
function wideRegister(register: DescribedRegister, places: readonly Placed[], note: Note): Made | undefined {
  const { bits, about } = register;
  if (bits % 32 !== 0 || places.some(({ array }) => array !== undefined)) {
    note(`it has ${bits} bits; left out`);
    return undefined;
  }
  const converted = convertFields(register, note);
  if (!converted) return undefined;
  const known = converted.reset ? ", without its reset value" : "";
  note(`it has ${bits} bits; the table has an array of 32-bit words, without fields${known}`);
  const array = { count: bits / 32, stride: 4n };
  return {
    ...{ width: 32, about, mode: converted.mode, fields: {} },
    ...{ reset: 0n, range: undefined },
    places: places.map((place) => ({ ...place, array })),
  };
}

/** A register at its place, or why it can't be there. */
function placed(made: Made, offset: bigint, array: Placed["array"]): Register | string {
  const { width, mode, about, fields, range, reset = 0n } = made;
  const inWidth = (value: bigint) => (width === 64 ? value : Number(value & allBits(width)));
  const bytes = BigInt(width / 8);
  const end = offset + (array ? BigInt(array.count) * array.stride : bytes);
  if (offset < 0n || end > BigInt(Number.MAX_SAFE_INTEGER))
    return `its offset 0x${offset.toString(16)} is too large`;
  if (offset % bytes !== 0n)
    return `its offset 0x${offset.toString(16)} is no multiple of its ${bytes} bytes`;
  if (array && (array.count < 1 || array.count > MAX_IN_ARRAY))
    return `it has ${array.count} elements; an array has from 1 to ${MAX_IN_ARRAY}`;
  if (array && (array.stride < bytes || array.stride % bytes !== 0n))
    return `${array.stride} bytes from one element to the next is no multiple of its ${bytes} bytes`;
  return {
    offset: Number(offset),
    mode,
    about,
    ...(width === 32 ? {} : { width }),
    ...(array && { count: array.count }),
    ...(array && array.stride !== bytes ? { stride: Number(array.stride) } : {}),
    ...(reset === 0n ? {} : { reset: inWidth(reset) }),
    ...(range ? { range: [inWidth(range[0]), inWidth(range[1])] as const } : {}),
    ...(Object.keys(fields).length > 0 ? { fields } : {}),
  };
}

/** "A, B, C and 4 more". */
function list(names: readonly string[]): string {
  const shown = 3;
  const more = names.length - shown;
  return more > 0 ? `${names.slice(0, shown).join(", ")} and ${more} more` : names.join(", ");
}
