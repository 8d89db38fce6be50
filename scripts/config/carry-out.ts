/** Reads and writes configuration space, one operation after the other. */
import type { ConfigSpace } from "../../src/device/device.ts";
import type { Meaning } from "../../src/pci/decode/named-registers.ts";
import { hex } from "../cli/number.ts";
import type { ConfigWidth } from "./operation.ts";
import type { Access } from "./resolve.ts";

/** What became of an operation. */
export interface Outcome {
  readonly access: Access;
  /** What was read, or written (without writing: would have been). */
  readonly values: readonly bigint[];
  /** What was read to keep bits, or to show a change that is not made. */
  readonly before?: readonly bigint[];
  readonly readBack?: readonly bigint[];
  /** Of the last value read, if it is one register and its fields are known. */
  readonly meaning?: Meaning;
}

export interface Manner {
  readonly dryRun: boolean;
  readonly readBack: boolean;
}

const WORD_BITS = 32n;

function read(config: ConfigSpace, offset: number, width: ConfigWidth): bigint {
  if (width === 8) return BigInt(config.read8(offset));
  if (width === 16) return BigInt(config.read16(offset));
  const low = BigInt(config.read32(offset));
  return width === 32 ? low : low | (BigInt(config.read32(offset + 4)) << WORD_BITS);
}

function write(config: ConfigSpace, offset: number, width: ConfigWidth, value: bigint): void {
  if (width === 8) config.write8(offset, Number(value));
  else if (width === 16) config.write16(offset, Number(value));
  else {
    config.write32(offset, Number(BigInt.asUintN(32, value)));
    if (width === 64) config.write32(offset + 4, Number(value >> WORD_BITS));
  }
}

/** Throws the backend's errors. Nothing is read but what the operation needs, and what the text of its fields tells of, too. */
export function carryOut(config: ConfigSpace, access: Access, { dryRun, readBack }: Manner): Outcome {
  const { offset, width, changes, register } = access;
  const at = (i: number) => offset + (i * width) / 8;
  const meaningOf = (values: readonly bigint[]) => {
    const meaning = values.length === 1 ? register?.meaning(values[0]!) : undefined;
    return meaning && { meaning };
  };
  if (changes.length === 0) {
    const values = [read(config, offset, width)];
    return { access, values, ...meaningOf(values) };
  }
  const before: bigint[] = [];
  const values = changes.map(({ value, mask }, i) => {
    if (mask === undefined && !dryRun) {
      write(config, at(i), width, value);
      return value;
    }
    const old = read(config, at(i), width);
    before.push(old);
    const changed = mask === undefined ? value : (old & ~mask) | (value & mask);
    if (!dryRun) write(config, at(i), width, changed);
    return changed;
  });
  const after = readBack && !dryRun ? values.map((_, i) => read(config, at(i), width)) : undefined;
  return {
    access,
    values,
    // Registers without a mask were not read.
    ...(before.length === values.length && { before }),
    ...(after && { readBack: after, ...meaningOf(after) }),
  };
}

/** One line, and one more for what was read back. */
export function describeOutcome(
  { access, values, before, readBack, meaning }: Outcome,
  labelWidth: number,
  dryRun: boolean,
): string {
  const { place, width, changes } = access;
  const label = place.padEnd(labelWidth);
  const shown = (words: readonly bigint[]) => words.map((word) => hex(word, width)).join(" ");
  const means = meaning?.text ? `  ${meaning.text}` : "";
  if (changes.length === 0) return `${label}  ${shown(values)}${means}`;
  const line = dryRun
    ? `${label}  ${shown(before ?? [])} -> ${shown(values)}`
    : `${label} <- ${shown(values)}`;
  return readBack ? `${line}\n${label}  ${shown(readBack)}${means}` : line;
}

/** The same for --json. */
export function outcomeAsJson({ access, values, before, readBack, meaning }: Outcome): object {
  const { place, offset, width, changes, register } = access;
  const shown = (words: readonly bigint[]) => words.map((word) => hex(word, width));
  return {
    place,
    ...(register && { register: register.name }),
    offset,
    width,
    write: changes.length > 0,
    values: shown(values),
    ...(before && { before: shown(before) }),
    ...(readBack && { readBack: shown(readBack) }),
    ...(meaning && { fields: meaning.fields }),
  };
}
