/** The values of a table's registers, and what software's reads and writes do to them. */
import type { RegisterTable } from "../registers/table.ts";

export class RegisterFile<T extends RegisterTable> {
  readonly #table: T;
  readonly #values: Uint32Array;
  readonly #writable: ReadonlySet<number>;
  readonly #clearable: ReadonlySet<number>;

  /** `sizeBytes` is at least the table's end. */
  constructor(table: T, sizeBytes: number) {
    this.#table = table;
    this.#values = new Uint32Array(new ArrayBuffer(sizeBytes));
    const offsets = (mode: string) =>
      new Set(
        Object.values<RegisterTable[string]>(table)
          .filter((register) => register.mode === mode)
          .map(({ offset }) => offset),
      );
    this.#writable = offsets("rw");
    this.#clearable = offsets("rw1c");
    this.reset();
  }

  /** Every register at its reset value. */
  reset(): void {
    this.#values.fill(0);
    for (const { offset, reset } of Object.values<RegisterTable[string]>(this.#table))
      this.#values[offset / 4] = reset ?? 0;
  }

  get(name: keyof T): number {
    return this.#values[this.#table[name]!.offset / 4]!;
  }

  set(name: keyof T, value: number): void {
    this.#values[this.#table[name]!.offset / 4] = value;
  }

  /** Adds 1, modulo 2^32. */
  count(name: keyof T): void {
    this.set(name, this.get(name) + 1);
  }

  /** A read by software that no handler serves. */
  read(offset: number): number {
    return this.#values[offset / 4]!;
  }

  /** A write by software that no handler serves; ignored if the register is read-only or absent. */
  write(offset: number, value: number): void {
    if (this.#writable.has(offset)) this.#values[offset / 4] = value;
    else if (this.#clearable.has(offset)) this.#values[offset / 4]! &= ~value;
  }
}
