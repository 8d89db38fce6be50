/** Numbers as IP-XACT and CMSIS-SVD write them. Undefined: an expression, a parameter, or no number at all. */

import { MAX_BITS, MAX_COUNT, MAX_DIGITS } from "../limits.ts";

const radix = { h: "0x", d: "", o: "0o", b: "0b" } as const;
const scale = { "": 0n, k: 10n, m: 20n, g: 30n, t: 40n } as const;

/** IP-XACT: 16, 0x10, #10, 4K (2009), 'h10, 32'b1_0000 (2014, as in SystemVerilog). */
export function ipXactNumber(text: string | undefined): bigint | undefined {
  const digits = plain(text);
  const sized = /^\d*'s?([hdob])([\da-f]+)$/.exec(digits);
  if (sized) return whole(radix[sized[1] as keyof typeof radix] + sized[2]);
  return scaled(digits.replace(/^#/, "0x"));
}

/** CMSIS-SVD: 16, 0x10, #10000, 0b10000, 4K. A don't-care bit (x) makes it no number. */
export function svdNumber(text: string | undefined): bigint | undefined {
  return scaled(plain(text).replace(/^#/, "0b"));
}

const plain = (text = "") => (text.length > MAX_DIGITS ? "" : text.toLowerCase().replace(/[\s_]|^\+/g, ""));

function scaled(digits: string): bigint | undefined {
  const [, number, unit] = /^(0x[\da-f]+|0b[01]+|\d+)([kmgt]?)$/.exec(digits) ?? [];
  if (number === undefined) return undefined;
  return BigInt(number) << scale[unit as keyof typeof scale];
}

function whole(digits: string): bigint | undefined {
  try {
    return BigInt(digits);
  } catch {
    return undefined;
  }
}

/** A number of bits; undefined if no register has so many. */
export function bitNumber(value: bigint | undefined): number | undefined {
  return value === undefined || value > MAX_BITS ? undefined : Number(value);
}

/** A number of elements; undefined if no array has so many. */
export function countNumber(value: bigint | undefined): number | undefined {
  return value === undefined || value > MAX_COUNT ? undefined : Number(value);
}
