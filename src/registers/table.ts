/**
 * Register tables: one object literal describes a device's registers. Accessors, names in messages, documentation and the
 * device's model all derive from it.
 */

/**
 * Software access, as IEEE 1800.2 (UVM) names it: read-only, read-write, write-only, read clears, write 1 to clear, write 1 to set.
 */
export type Mode = "ro" | "rw" | "wo" | "rc" | "w1c" | "w1s";

/** Bits of a register: each access has exactly this width. */
export type Width = 8 | 16 | 32 | 64;

/** A field of a register. */
export interface Field {
  /** Lowest and highest bit, both inclusive. */
  readonly bits: readonly [low: number, high: number];
  readonly about: string;
  /** Values that have names, by name. */
  readonly values?: Readonly<Record<string, number>>;
}

/** One register, or an array of equal ones. */
export interface Register {
  /** Byte offset in its region, a multiple of its width. */
  readonly offset: number;
  readonly mode: Mode;
  readonly about: string;
  /** 32 if absent. */
  readonly width?: Width;
  /** Its bytes' order; little-endian if absent. */
  readonly order?: "little" | "big";
  /** Makes it an array of this many registers. */
  readonly count?: number;
  /** Bytes from one register of the array to the next; its width if absent. */
  readonly stride?: number;
  /** Value after power-on and after every reset; 0 if absent. */
  readonly reset?: number | bigint;
  /** Valid values, both ends inclusive, possibly in two's complement; absent if all are valid. Accessors do not check it. */
  readonly range?: readonly [low: number | bigint, high: number | bigint];
  readonly fields?: Readonly<Record<string, Field>>;
}

/** A device's registers, by name. Write it as an object literal with `as const satisfies RegisterTable`. */
export type RegisterTable = Readonly<Record<string, Register>>;

/** What a read gives: a bigint for 64 bits, else a number. */
export type ValueOf<R extends Register> = R["width"] extends 64 ? bigint : number;

export const widthOf = ({ width = 32 }: Register): Width => width;

export const bytesOf = (register: Register): number => widthOf(register) / 8;

export const isReadable = ({ mode }: Register): boolean => mode !== "wo";

export const isWritable = ({ mode }: Register): boolean => mode !== "ro" && mode !== "rc";

/** One register of a table: all of a plain one, or one of an array. */
export interface RegisterElement {
  /** The table's name for it. */
  readonly name: string;
  /** Undefined for a plain register. */
  readonly index: number | undefined;
  readonly offset: number;
  readonly register: Register;
}

/** All of a table's registers, in its order. */
export function elementsOf(table: RegisterTable): RegisterElement[] {
  return Object.entries(table).flatMap(([name, register]): RegisterElement[] => {
    const { offset, count, stride = bytesOf(register) } = register;
    if (count === undefined) return [{ name, index: undefined, offset, register }];
    return Array.from({ length: count }, (_, index) => ({
      ...{ name, index, register },
      offset: offset + index * stride,
    }));
  });
}

/** "LIMIT", or "CHANNEL[3]" for one of an array. */
export const elementName = ({ name, index }: Pick<RegisterElement, "name" | "index">) =>
  index === undefined ? name : `${name}[${index}]`;

/** The name of the register at an offset, for messages: "SPEED", or "0x0b4" if there is none. */
export function registerName(table: RegisterTable, offset: number): string {
  const element = elementsOf(table).find((element) => element.offset === offset);
  return element ? elementName(element) : `0x${offset.toString(16).padStart(3, "0")}`;
}

/** Why a value does not fit a register; undefined if it does. The text follows the register's name. */
export function widthMistake(register: Register, value: number | bigint): string | undefined {
  const width = widthOf(register);
  const isWhole = typeof value === "bigint" || Number.isInteger(value);
  return isWhole && value >= 0 && value < 2 ** width
    ? undefined
    : `${value} is not a whole number of ${width} bits`;
}
