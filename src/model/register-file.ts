/** The values of a table's registers, and what software's reads and writes of any width do to them. */
import { constants } from "node:os";
import { swapBytes } from "../registers/access.ts";
import {
  bytesOf,
  elementName,
  elementsOf,
  isReadable,
  isWritable,
  type RegisterElement,
  type RegisterTable,
  widthMistake,
  widthOf,
} from "../registers/table.ts";
import { RequestError } from "./device-model.ts";

export type Value = number | bigint;

/** A register of the device, and its stored value. */
export interface StoredRegister extends RegisterElement {
  value: Value;
}

/** What a handler does with a register; undefined where it has none. */
export interface Handling {
  read(register: StoredRegister): (() => Value) | undefined;
  write(register: StoredRegister): ((value: Value) => void) | undefined;
}

const WORD_BYTES = 8;
const HALF_BYTES = 4;

export class RegisterFile {
  readonly #registers: readonly StoredRegister[];
  readonly #byName = new Map<string, StoredRegister[]>();
  readonly #readable: readonly StoredRegister[];
  readonly #writable: readonly StoredRegister[];
  readonly #handling: Handling;

  constructor(table: RegisterTable, handling: Handling) {
    this.#handling = handling;
    this.#registers = elementsOf(table).map((element) => ({ ...element, value: resetValue(element) }));
    for (const register of this.#registers) {
      const array = this.#byName.get(register.name);
      if (array) array.push(register);
      else this.#byName.set(register.name, [register]);
    }
    const sorted = this.#registers.toSorted((a, b) => a.offset - b.offset);
    this.#readable = sorted.filter(({ register }) => isReadable(register));
    this.#writable = sorted.filter(({ register }) => isWritable(register));
  }

  /** Every register at its reset value. */
  reset(): void {
    for (const register of this.#registers) register.value = resetValue(register);
  }

  get(name: string, index = 0): Value {
    return this.find(name, index).value;
  }

  /** Throws RangeError. */
  set(name: string, value: Value, index = 0): void {
    const found = this.find(name, index);
    const mistake = widthMistake(found.register, value);
    if (mistake !== undefined) throw new RangeError(`${elementName(found)} is set: ${mistake}`);
    found.value = widthOf(found.register) === 64 ? BigInt(value) : Number(value);
  }

  /** Throws RangeError: there is none of that name, or of that index. */
  find(name: string, index = 0): StoredRegister {
    const array = this.#byName.get(name);
    if (!array)
      throw new RangeError(`there is no register ${name}; there are ${[...this.#byName.keys()].join(", ")}`);
    const found = array[index];
    if (!found) throw new RangeError(`there is no ${name}[${index}]; it has ${array.length}`);
    return found;
  }

  /** A read by software. Each register that the range touches is read once; bytes of none are 0. */
  read(offset: number, to: Uint8Array): void {
    to.fill(0);
    const end = offset + to.byteLength;
    for (const register of between(this.#readable, offset, end)) {
      const read = this.#handling.read(register);
      const value = read ? read() : register.value;
      if (!read && register.register.mode === "rc") register.value = zero(register);
      const bytes = bytesIn(register, value);
      const skipped = Math.max(0, offset - register.offset);
      to.set(bytes.subarray(skipped, end - register.offset), register.offset + skipped - offset);
    }
  }

  /**
   * A write by software. It must cover each register that it touches, or a half of one of 64 bits, which keeps the other half.
   * Throws RequestError, before it has written anything.
   */
  write(offset: number, from: Uint8Array): void {
    const end = offset + from.byteLength;
    const pieces = between(this.#writable, offset, end).map((register) => {
      const bytes = bytesOf(register.register);
      const start = Math.max(0, offset - register.offset);
      const given = from.subarray(register.offset + start - offset, register.offset + bytes - offset);
      const isHalf = bytes === WORD_BYTES && given.byteLength === HALF_BYTES && start % HALF_BYTES === 0;
      if (given.byteLength !== bytes && !isHalf) throw new RequestError(constants.errno.EINVAL);
      return { register, start, given };
    });
    for (const { register, start, given } of pieces) this.#writeOne(register, start, given);
  }

  /** Writes the bytes of a register from `start` on: all of them, or a half. */
  #writeOne(register: StoredRegister, start: number, given: Uint8Array): void {
    const keeps = register.register.mode === "rw" || register.register.mode === "wo";
    const whole =
      given.byteLength === bytesOf(register.register) ? given : merged(register, keeps, start, given);
    const value = valueIn(register, whole);
    // The halves of a write join up in the stored value, whoever handles it.
    if (whole !== given && keeps) register.value = value;
    const write = this.#handling.write(register);
    if (write) return write(value);
    const { mode } = register.register;
    if (mode === "rw") register.value = value;
    if (mode === "w1c") register.value = combine(register.value, value, (old, ones) => old & ~ones);
    if (mode === "w1s") register.value = combine(register.value, value, (old, ones) => old | ones);
  }
}

/** Combines values of one width. */
function combine(old: Value, ones: Value, by: (old: bigint, ones: bigint) => bigint): Value {
  const combined = by(BigInt(old), BigInt(ones));
  return typeof old === "bigint" ? combined : Number(combined);
}

const zero = ({ register }: RegisterElement): Value => (widthOf(register) === 64 ? 0n : 0);

function resetValue({ register }: RegisterElement): Value {
  const { reset = 0 } = register;
  return widthOf(register) === 64 ? BigInt(reset) : Number(reset);
}

/** The registers that have a byte from `offset` up to `end`. They are sorted, and found by halving. */
function between(sorted: readonly StoredRegister[], offset: number, end: number): StoredRegister[] {
  if (offset === end) return [];
  let first = 0;
  for (let high = sorted.length; first < high; ) {
    const middle = (first + high) >>> 1;
    const { offset: at, register } = sorted[middle]!;
    if (at + bytesOf(register) > offset) high = middle;
    else first = middle + 1;
  }
  let last = first;
  while (last < sorted.length && sorted[last]!.offset < end) last++;
  return sorted.slice(first, last);
}

const scratch = new Uint8Array(new ArrayBuffer(WORD_BYTES));
const word = new DataView(scratch.buffer);

/** A value's bytes on the bus. The next call overwrites them. */
function bytesIn({ register }: RegisterElement, value: Value): Uint8Array {
  const width = widthOf(register);
  const ordered = register.order === "big" ? swapBytes(value, width) : value;
  word.setBigUint64(0, BigInt.asUintN(64, BigInt(ordered)), true);
  return scratch.subarray(0, width / 8);
}

function valueIn({ register }: RegisterElement, bytes: Uint8Array): Value {
  const width = widthOf(register);
  let value: Value = 0;
  if (width === 64) value = new DataView(bytes.buffer, bytes.byteOffset, WORD_BYTES).getBigUint64(0, true);
  else for (let i = bytes.byteLength - 1; i >= 0; i--) value = Number(value) * 256 + bytes[i]!;
  return register.order === "big" ? swapBytes(value, width) : value;
}

/** All of a register's bytes, of which a write gives those from `start` on; the others are the stored ones, or 0. */
function merged(register: StoredRegister, keeps: boolean, start: number, given: Uint8Array): Uint8Array {
  const bytes = keeps
    ? bytesIn(register, register.value).slice()
    : new Uint8Array(new ArrayBuffer(WORD_BYTES));
  bytes.set(given, start);
  return bytes;
}
