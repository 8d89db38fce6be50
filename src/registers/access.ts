/** Typed accessors for the registers of a table. */
import { type Fields, type FieldValues, packFields, unpackFields } from "./fields.ts";
import {
  elementName,
  elementsOf,
  isReadable,
  isWritable,
  type Register,
  type RegisterElement,
  type RegisterTable,
  type ValueOf,
  type Width,
  widthMistake,
  widthOf,
} from "./table.ts";

/** Accesses to the region that holds the registers. Those of other widths than 32 bits are needed only if the table has such. */
export interface RegisterIo {
  read32(offset: number): number;
  write32(offset: number, value: number): void;
  read8?(offset: number): number;
  write8?(offset: number, value: number): void;
  read16?(offset: number): number;
  write16?(offset: number, value: number): void;
  read64?(offset: number): bigint;
  write64?(offset: number, value: bigint): void;
}

type Described<R extends Register> = {
  /** Value after a reset, as the table has it. */
  readonly reset: R["reset"] extends number | bigint ? R["reset"] : 0;
  /** Valid values, as the table has them. */
  readonly range: R["range"];
};
type Readable<R extends Register> = {
  read(): ValueOf<R>;
  /** One read, split into fields. */
  readFields(): Fields<R>;
};
type Writable<R extends Register> = {
  /** Throws RangeError: the value does not fit the register's width. */
  write(value: number | ValueOf<R>): void;
  /** One write; fields left out are written as 0. */
  writeFields(values: FieldValues<R>): void;
};
type Clearable<R extends Register> = {
  /** Clears the bits that are 1 in `mask`. */
  clear(mask: number | ValueOf<R>): void;
};
type Settable<R extends Register> = {
  /** Sets the bits that are 1 in `mask`. */
  set(mask: number | ValueOf<R>): void;
};

/** Only the accessors that a register's mode allows. */
export type RegisterAccess<R extends Register> = Described<R> &
  (R["mode"] extends "ro" | "rc"
    ? Readable<R>
    : R["mode"] extends "wo"
      ? Writable<R>
      : R["mode"] extends "w1c"
        ? Readable<R> & Clearable<R>
        : R["mode"] extends "w1s"
          ? Readable<R> & Settable<R>
          : Readable<R> & Writable<R>);

/** By name: an accessor, or an array of them. */
export type Registers<T extends RegisterTable> = {
  readonly [N in keyof T]: T[N]["count"] extends number
    ? readonly RegisterAccess<T[N]>[]
    : RegisterAccess<T[N]>;
};

/** Accessors for every register of a table, by name. Throws TypeError: `io` lacks accesses of a register's width. */
export function openRegisters<const T extends RegisterTable>(table: T, io: RegisterIo): Registers<T> {
  const accessors: Record<string, unknown> = {};
  const arrays: Record<string, unknown[]> = {};
  for (const element of elementsOf(table)) {
    const accessor = openElement(element, io);
    if (element.index === undefined) accessors[element.name] = accessor;
    else {
      arrays[element.name] ??= [];
      arrays[element.name]!.push(accessor);
    }
  }
  return { ...accessors, ...arrays } as Registers<T>;
}

function openElement(element: RegisterElement, io: RegisterIo): unknown {
  const { register } = element;
  const { mode, reset = 0, range } = register;
  const { read, write: writeValue } = openValue(element, io);
  const name = elementName(element);
  const write = (value: number | bigint) => {
    const mistake = widthMistake(register, value);
    if (mistake !== undefined) throw new RangeError(`${name}: ${mistake}`);
    writeValue(value);
  };
  const readable = {
    read,
    readFields: () => unpackFields<Register>(register, read() as number),
  };
  const writable = {
    write,
    writeFields: (values: FieldValues<Register>) => write(packFields(register, values)),
  };
  return {
    ...{ reset, range },
    ...(isReadable(register) ? readable : {}),
    ...(mode === "w1c"
      ? { clear: write }
      : mode === "w1s"
        ? { set: write }
        : isWritable(register)
          ? writable
          : {}),
  };
}

interface Value {
  read(): number | bigint;
  write(value: number | bigint): void;
}

/** Throws TypeError. */
export function openValue({ offset, register, ...place }: RegisterElement, io: RegisterIo): Value {
  const width = widthOf(register);
  const isBig = register.order === "big";
  const [readName, writeName] = [`read${width}`, `write${width}`] as const;
  const read = io[readName]?.bind(io) as ((offset: number) => number | bigint) | undefined;
  const write = io[writeName]?.bind(io) as ((offset: number, value: number | bigint) => void) | undefined;
  if ((isReadable(register) && !read) || (isWritable(register) && !write))
    throw new TypeError(
      `${elementName(place)} has ${width} bits, and the region has no ${readName} or ${writeName}`,
    );
  const convert = width === 64 ? BigInt : Number;
  const inOrder = isBig ? (value: number | bigint) => swapBytes(convert(value), width) : convert;
  return {
    read: isBig ? () => swapBytes(read!(offset), width) : () => read!(offset),
    write: (value) => write!(offset, inOrder(value)),
  };
}

const scratch = new DataView(new ArrayBuffer(8));

/** The value whose bytes are in the other order. */
export function swapBytes(value: number | bigint, width: Width): number | bigint {
  if (width === 64) {
    scratch.setBigUint64(0, BigInt(value), true);
    return scratch.getBigUint64(0);
  }
  scratch.setUint32(0, Number(value), true);
  return scratch.getUint32(0) >>> (32 - width);
}
