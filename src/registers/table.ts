/**
 * Register tables: one object literal describes a device's registers. Accessors, names in messages and
 * documentation all derive from it. All registers are 32 bits wide and little-endian.
 */

/** Software access: read-only, read-write, write-only, or write-1-to-clear. */
export type Mode = "ro" | "rw" | "wo" | "rw1c";

export interface Field {
  /** Lowest and highest bit, both inclusive. */
  readonly bits: readonly [low: number, high: number];
  readonly about: string;
  /** Values that have names, by name. */
  readonly values?: Readonly<Record<string, number>>;
}

export interface Register {
  /** Byte offset in its region, a multiple of 4. */
  readonly offset: number;
  readonly mode: Mode;
  readonly about: string;
  /** Value after power-on and after every reset; 0 if absent. */
  readonly reset?: number;
  /** Valid values, both ends inclusive; absent if all are valid. */
  readonly range?: readonly [low: number, high: number];
  readonly fields?: Readonly<Record<string, Field>>;
}

export type RegisterTable = Readonly<Record<string, Register>>;

/** 32-bit accesses to the region that holds the registers. */
export interface RegisterIo {
  read32(offset: number): number;
  write32(offset: number, value: number): void;
}

/** A value for each field of a register; fields left out are 0. */
export type FieldValues<R extends Register> = { readonly [F in keyof R["fields"]]?: number };

type Readable<R extends Register> = {
  read(): number;
  /** One read, split into fields. */
  readFields(): { readonly [F in keyof R["fields"]]: number };
};
type Writable<R extends Register> = {
  write(value: number): void;
  /** One write; fields left out are written as 0. */
  writeFields(values: FieldValues<R>): void;
};
type Clearable = {
  /** Clears the bits that are 1 in `mask`. */
  clear(mask: number): void;
};

/** Only the accessors that a register's mode allows. */
export type RegisterAccess<R extends Register> = R["mode"] extends "ro"
  ? Readable<R>
  : R["mode"] extends "wo"
    ? Writable<R>
    : R["mode"] extends "rw1c"
      ? Readable<R> & Clearable
      : Readable<R> & Writable<R>;

export type Registers<T extends RegisterTable> = { readonly [N in keyof T]: RegisterAccess<T[N]> };

/** A field's mask in place, e.g. bits 8-15 → 0xff00. */
export function fieldMask(field: Field): number {
  const [low, high] = field.bits;
  return ((2 ** (high - low + 1) - 1) * 2 ** low) >>> 0;
}

/** Extracts a field's value from a register's value. */
export function getField(field: Field, value: number): number {
  return (value & fieldMask(field)) >>> field.bits[0];
}

/** Packs fields into a register's value. Throws RangeError on an unknown field or a value that is too large. */
export function packFields<R extends Register>(register: R, values: FieldValues<R>): number {
  let packed = 0;
  for (const [name, value] of Object.entries(values as Record<string, number>)) {
    const field = register.fields?.[name];
    if (!field) throw new RangeError(`register at 0x${register.offset.toString(16)} has no field ${name}`);
    const [low, high] = field.bits;
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (high - low + 1)) {
      throw new RangeError(`${value} does not fit field ${name}, bits ${low} to ${high}`);
    }
    packed |= value << low;
  }
  return packed >>> 0;
}

/** Splits a register's value into its fields' values. */
export function unpackFields<R extends Register>(register: R, value: number) {
  const values = Object.entries(register.fields ?? {}).map(([name, field]) => [name, getField(field, value)]);
  return Object.fromEntries(values) as { readonly [F in keyof R["fields"]]: number };
}

/** Accessors for every register of a table, by name. */
export function openRegisters<const T extends RegisterTable>(table: T, io: RegisterIo): Registers<T> {
  const accessors = Object.entries(table).map(([name, register]) => {
    const { offset, mode } = register;
    const read = () => io.read32(offset);
    const write = (value: number) => io.write32(offset, value);
    const readable = { read, readFields: () => unpackFields(register, read()) };
    const writable = {
      write,
      writeFields: (values: FieldValues<Register>) => write(packFields(register, values)),
    };
    if (mode === "ro") return [name, readable];
    if (mode === "wo") return [name, writable];
    if (mode === "rw1c") return [name, { ...readable, clear: write }];
    return [name, { ...readable, ...writable }];
  });
  return Object.fromEntries(accessors) as Registers<T>;
}

/** The name of the register at an offset, for messages: "SPEED", or "0x0b4" if there is none. */
export function registerName(table: RegisterTable, offset: number): string {
  for (const [name, register] of Object.entries(table)) if (register.offset === offset) return name;
  return `0x${offset.toString(16).padStart(3, "0")}`;
}

/** The name of a field's value, for messages: "RUNNING", or the number if it has no name. */
export function valueName(field: Field, value: number): string {
  for (const [name, number] of Object.entries(field.values ?? {})) if (number === value) return name;
  return String(value);
}
