/**
 * An operation on configuration space as it is typed: BASE[.REGISTER][+OFFSET][.WIDTH][@N][=VALUE[:MASK],...], which is setpci's form, and a
 * register of a capability by name.
 */
import { CONFIG_BYTES } from "../../src/pci/config-offsets.ts";
import {
  type CapabilityKind,
  capabilityKind,
  capabilityKinds,
  folded,
  type HeaderRegister,
  headerRegisters,
} from "../../src/pci/decode/register-names.ts";
import { UsageError } from "../cli/usage-error.ts";
import { nearTo } from "./near.ts";

/** Bits of one register. 64 only of one that has as many, which takes two accesses. */
export type ConfigWidth = 8 | 16 | 32 | 64;

type Base =
  | { readonly kind: "number"; readonly offset: number }
  /** Those with this name, in different types of header. */
  | { readonly kind: "header"; readonly registers: readonly HeaderRegister[] }
  /** Kinds of capability with this name, and which of those that the function has, from 0. */
  | {
      readonly kind: "capability";
      readonly kinds: readonly CapabilityKind[];
      readonly index: number;
      readonly register?: string;
    };

/** What to write: all of a register, or the bits of a mask. */
export interface Change {
  readonly value: bigint;
  readonly mask?: bigint;
}

export interface Operation {
  /** As it was typed, without values. */
  readonly place: string;
  readonly base: Base;
  /** From the base. */
  readonly offset: number;
  /** Undefined: the register's own. */
  readonly width: ConfigWidth | undefined;
  /** For consecutive registers; empty to read. */
  readonly changes: readonly Change[];
}

/** For errors about names. */
export const LISTED = "--list shows the names";

const hexDigits = /^(?:0x)?[0-9a-f]+(?:_[0-9a-f]+)*$/i;
const widthsByLetter: Readonly<Record<string, ConfigWidth>> = { b: 8, w: 16, l: 32 };

function hexNumber(text: string): bigint | undefined {
  if (!hexDigits.test(text)) return undefined;
  return BigInt(`0x${text.toLowerCase().replace(/^0x/, "").replaceAll("_", "")}`);
}

/** Throws UsageError. */
export function parseOperation(text: string): Operation {
  const equals = text.indexOf("=");
  const place = equals < 0 ? text : text.slice(0, equals);
  const at = place.lastIndexOf("@");
  const path = at < 0 ? place : place.slice(0, at);
  const { base, rest } = splitBase(path);
  const parts = /^(\.[^.+]+)?(\+[^.]*)?(\.[^.]*)?$/.exec(rest);
  if (!parts) throw new UsageError(`"${place}": ${FORM}`);
  let [, register, plus, letter] = parts.map((part) => part?.slice(1));
  if (letter === undefined && plus === undefined && register !== undefined && register.length <= 1)
    [register, letter] = [undefined, register];
  const operation: Operation = {
    place,
    base: completeBase(base, { place, register, index: at < 0 ? undefined : place.slice(at + 1) }),
    offset: plus === undefined ? 0 : offsetOf(place, plus),
    width: letter === undefined ? undefined : widthOf(place, letter),
    changes:
      equals < 0
        ? []
        : text
            .slice(equals + 1)
            .split(",")
            .map((each) => parseChange(text, each)),
  };
  checkEarly(operation);
  return operation;
}

const FORM =
  "a register is NAME, NAME+OFFSET.WIDTH, CAPABILITY.NAME or OFFSET.WIDTH, then @N for the Nth such capability, and =VALUE to write it; numbers are hexadecimal";

/** The longest beginning that is known: names of capabilities may have dots, too. */
function splitBase(path: string): { base: Base; rest: string } {
  const ends = [path.length, ...[...path.matchAll(/[.+]/g)].map(({ index }) => index).reverse()];
  for (const end of ends) {
    const base = findBase(path.slice(0, end));
    if (base) return { base, rest: path.slice(end) };
  }
  const word = path.slice(0, ends.at(-1));
  throw new UsageError(
    `${word === "" ? `"${path}" names no register` : `there is no register or capability "${word}"`}${suggestion(word)}`,
  );
}

function suggestion(word: string): string {
  const shortNames = capabilityKinds.map(({ shortName }) => shortName);
  const near = nearTo(word, [...headerRegisters.map(({ name }) => name), ...shortNames]);
  return `${near.length > 0 ? `; there is ${near.join(", ")}` : ""}; ${LISTED}`;
}

function findBase(text: string): Base | undefined {
  const name = folded(text);
  const registers = headerRegisters.filter(
    (register) => folded(register.name) === name || (register.also && folded(register.also) === name),
  );
  if (registers.length > 0) return { kind: "header", registers };
  const byId = /^(E?)CAP([0-9a-f]{1,4})$/i.exec(text);
  if (byId) {
    const id = Number.parseInt(byId[2]!, 16);
    const extended = byId[1] !== "";
    if (!extended && id > 0xff)
      throw new UsageError(`${text}: the id of a capability has 8 bits; ECAP${byId[2]} is an extended one`);
    return { kind: "capability", kinds: [capabilityKind(extended, id)], index: 0 };
  }
  const kinds = capabilityKinds.filter(
    (kind) =>
      kind.shortName.toLowerCase() === text.toLowerCase() ||
      (kind.name !== undefined && folded(kind.name) === name),
  );
  if (kinds.length > 0) return { kind: "capability", kinds, index: 0 };
  const offset = hexNumber(text);
  return offset === undefined ? undefined : { kind: "number", offset: Number(offset) };
}

function completeBase(
  base: Base,
  { place, register, index }: { place: string; register: string | undefined; index: string | undefined },
): Base {
  if (base.kind !== "capability") {
    if (index !== undefined)
      throw new UsageError(
        `${place}: only capabilities can be there several times, so only they take @${index}`,
      );
    if (register !== undefined)
      throw new UsageError(`${place}: the width must be .b, .w or .l (8, 16 or 32 bits), not .${register}`);
    return base;
  }
  const nth = index === undefined ? 0n : hexNumber(index);
  if (nth === undefined)
    throw new UsageError(
      `${place}: after @, which goes last, comes the capability's number, from 0, in hexadecimal`,
    );
  return { ...base, index: Number(nth), ...(register !== undefined && { register }) };
}

function offsetOf(place: string, text: string): number {
  const offset = hexNumber(text);
  if (offset === undefined)
    throw new UsageError(`${place}: +${text} must be a hexadecimal number, such as +8 or +0x1c`);
  return Number(offset);
}

function widthOf(place: string, letter: string): ConfigWidth {
  const width = widthsByLetter[letter.toLowerCase()];
  if (width === undefined)
    throw new UsageError(`${place}: the width must be .b, .w or .l (8, 16 or 32 bits), not .${letter}`);
  return width;
}

function parseChange(operation: string, text: string): Change {
  const [value, mask, ...more] = text.split(":");
  const numbers = [value!, ...(mask === undefined ? [] : [mask])].map(hexNumber);
  if (more.length > 0 || numbers.includes(undefined))
    throw new UsageError(
      `${operation}: "${text}" must be VALUE or VALUE:MASK, hexadecimal numbers such as 6 or 400:400`,
    );
  return { value: numbers[0]!, ...(mask !== undefined && { mask: numbers[1]! }) };
}

/** What is wrong whatever function it is for. */
function checkEarly({ place, base, offset, width, changes }: Operation): void {
  if (base.kind === "header") {
    for (const register of base.registers)
      checkAccess(place, register.offset + offset, width ?? widthOfBytes(register.sizeBytes), changes);
    return;
  }
  if (base.kind === "capability" && base.register !== undefined) {
    if (width !== undefined) checkValues(place, width, changes);
    return;
  }
  if (width === undefined) {
    const [path, index] = place.split("@");
    const example = `${path}.w${index === undefined ? "" : `@${index}`}`;
    const orName = base.kind === "capability" ? `, or name a register of it; ${LISTED}` : "";
    throw new UsageError(
      `${place}: say how wide it is with .b, .w or .l (8, 16 or 32 bits), such as ${example}${orName}`,
    );
  }
  // Capabilities begin at multiples of 4.
  checkAccess(place, base.kind === "number" ? base.offset + offset : offset, width, changes);
}

export function widthOfBytes(sizeBytes: 1 | 2 | 4 | 8): ConfigWidth {
  return (sizeBytes * 8) as ConfigWidth;
}

/** Throws UsageError if no function could do this at such an offset. */
export function checkAccess(
  place: string,
  offset: number,
  width: ConfigWidth,
  changes: readonly Change[],
): void {
  const step = Math.min(width, 32) / 8;
  if (offset % step !== 0)
    throw new UsageError(
      `${place}: offset 0x${offset.toString(16)} is not aligned: ${Math.min(width, 32)} bits need a multiple of ${step}`,
    );
  if (offset + (Math.max(1, changes.length) * width) / 8 > CONFIG_BYTES)
    throw new UsageError(
      `${place}: it goes past the end of configuration space, which has at most 0x${CONFIG_BYTES.toString(16)} bytes (PCI Express; 0x100 in conventional PCI)`,
    );
  checkValues(place, width, changes);
}

function checkValues(place: string, width: ConfigWidth, changes: readonly Change[]): void {
  for (const { value, mask = 0n } of changes)
    for (const number of [value, mask])
      if (number >> BigInt(width) !== 0n)
        throw new UsageError(
          `${place}: 0x${number.toString(16)} has more than the register's ${width} bits (numbers are hexadecimal)`,
        );
}
