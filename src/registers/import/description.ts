/** A register description as its file has it, before it becomes a table. */

/** A file that can't be read as a register description: it is of another kind, damaged, or lacks what every one has. */
export class DescriptionError extends Error {}

export interface Description {
  /** "IP-XACT 2014", "IP-XACT 2009" or "CMSIS-SVD". */
  readonly format: string;
  /** The component's or device's name. */
  readonly name: string;
  readonly blocks: readonly Block[];
}

/** An address block of IP-XACT, or a peripheral of CMSIS-SVD. */
export interface Block {
  readonly name: string;
  /** Where it begins in its map, as text. */
  readonly base: string | undefined;
  /** Reads its registers. */
  read(note: Note): DescribedRegister[];
}

/** Takes a line about what a table can't say; it begins with the register's name. */
export type Note = (line: string) => void;

export interface DescribedRegister {
  /** Its name, after those of the register files or clusters that hold it; with one %s for each of `dims`. */
  readonly path: readonly string[];
  readonly about: string;
  /** Bytes from its block's start. */
  readonly offset: bigint;
  readonly bits: number;
  /** What holds for bits that no field describes. */
  readonly access: Access;
  /** Outermost first. */
  readonly dims: readonly Dim[];
  /** Undefined if the file has none. */
  readonly reset: Reset | undefined;
  /** Values that may be written; undefined if all may. */
  readonly range: Range | undefined;
  readonly fields: readonly DescribedField[];
}

/** In the words that IP-XACT and CMSIS-SVD share. */
export interface Access {
  /** read-write if absent. */
  readonly access: string | undefined;
  /** What a write does, if it does not just write: oneToClear, oneToSet... */
  readonly modifiedWriteValue: string | undefined;
  /** What a read does besides: clear, set, modify. */
  readonly readAction: string | undefined;
}

export interface Dim {
  readonly count: number;
  readonly strideBytes: bigint;
  /** Names of the elements, if they are not just counted from 0. */
  readonly labels: readonly string[] | undefined;
}

export interface Reset {
  readonly value: bigint;
  /** The bits that have a reset value. */
  readonly mask: bigint;
}

export type Range = readonly [low: bigint, high: bigint];

export interface DescribedField {
  readonly name: string;
  readonly about: string;
  readonly low: number;
  readonly bits: number;
  readonly access: Access;
  readonly reset: bigint | undefined;
  readonly range: Range | undefined;
  readonly isReserved: boolean;
  readonly values: readonly (readonly [name: string, value: bigint])[];
}

/** "CHANNEL.CONTROL", as notes have it. */
export const pathName = (path: readonly string[]): string => path.join(".").replaceAll("%s", "");

/** A field that has no purpose, by its name. */
export const isReservedName = (name: string): boolean => /^_*(reserved|rsvd|rsv)[_\d]*$/i.test(name);

/** All bits of a register. */
export const allBits = (bits: number): bigint => (1n << BigInt(bits)) - 1n;
