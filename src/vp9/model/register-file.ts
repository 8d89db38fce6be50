/** The register file, laid out by the table: values, and which of them software may write. */

import type { RegisterTable } from "../../registers/table.ts";
import { REGISTER_BYTES, registers } from "../contract/registers.ts";

export type RegisterName = keyof typeof registers;

const table: RegisterTable = registers;
const writable: ReadonlySet<number> = new Set(
  Object.values(table)
    .filter(({ mode }) => mode === "rw")
    .map(({ offset }) => offset),
);

export class RegisterFile {
  readonly #values = new Uint32Array(new ArrayBuffer(REGISTER_BYTES));

  /** Every register at its reset value. */
  reset(): void {
    this.#values.fill(0);
    for (const { offset, reset } of Object.values(table)) this.#values[offset / 4] = reset ?? 0;
  }

  get(name: RegisterName): number {
    return this.#values[registers[name].offset / 4]!;
  }

  set(name: RegisterName, value: number): void {
    this.#values[registers[name].offset / 4] = value;
  }

  /** Adds 1, modulo 2^32. */
  count(name: RegisterName): void {
    this.set(name, this.get(name) + 1);
  }

  /** A read by software that no handler serves. */
  read(offset: number): number {
    return this.#values[offset / 4]!;
  }

  /** A write by software that no handler serves; ignored if the register is not writable. */
  write(offset: number, value: number): void {
    if (writable.has(offset)) this.#values[offset / 4] = value;
  }
}
