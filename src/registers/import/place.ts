/** Places of registers in a table: arrays of several dimensions, and registers that lie over others. */
import { MAX_IN_ARRAYS, MAX_UNROLLED } from "../limits.ts";
import { bytesOf, isReadable, isWritable, type Register } from "../table.ts";
import type { Dim } from "./description.ts";

/** One register of a table, or one of its arrays. */
export interface Placed {
  /** What stands for each dimension in its name: nothing where an array is left. */
  readonly labels: readonly string[];
  readonly offset: bigint;
  readonly array: { readonly count: number; readonly stride: bigint } | undefined;
}

/** Undefined: it would be too many registers. */
export function placeRegister(offset: bigint, dims: readonly Dim[]): Placed[] | undefined {
  const merged = mergeDims(dims);
  const inner = merged.at(-1);
  const isArray = inner !== undefined && inner.labels === undefined;
  const unrolled = isArray ? merged.slice(0, -1) : merged;
  if (unrolled.reduce((product, { count }) => product * count, 1) > MAX_UNROLLED) return undefined;
  let places: { labels: readonly string[]; offset: bigint }[] = [{ labels: [], offset }];
  for (const { count, strideBytes, labels, merged } of unrolled)
    places = places.flatMap((place) =>
      Array.from({ length: count }, (_, index) => ({
        labels: [...place.labels, labels?.[index] ?? String(index), ...Array<string>(merged - 1).fill("")],
        offset: place.offset + BigInt(index) * strideBytes,
      })),
    );
  const array = isArray ? { count: inner.count, stride: inner.strideBytes } : undefined;
  return places.map((place) => ({ ...place, array }));
}

interface MergedDim extends Dim {
  /** Of how many it is made. */
  readonly merged: number;
}

/** Two dimensions are one where the inner one fills a step of the outer one. */
function mergeDims(dims: readonly Dim[]): MergedDim[] {
  const merged: MergedDim[] = [];
  for (const dim of dims) {
    const outer = merged.at(-1);
    const fills = outer?.strideBytes === dim.strideBytes * BigInt(dim.count);
    if (outer && fills && !outer.labels && !dim.labels)
      merged[merged.length - 1] = { ...dim, count: outer.count * dim.count, merged: outer.merged + 1 };
    else merged.push({ ...dim, merged: 1 });
  }
  return merged;
}

export interface Hidden {
  readonly name: string;
  /** The earlier register over which it lies. */
  readonly under: string;
}

/** Finds the registers that lie over an earlier one, which no table may have. Without them no two registers overlap. */
export function findHidden(table: Readonly<Record<string, Register>>): Hidden[] {
  const hidden = new Map<string, string>();
  const registers = Object.entries(table);
  for (const does of [isReadable, isWritable]) {
    const spans = registers
      .flatMap(([name, register], order) => (does(register) ? spansOf(name, order, register) : []))
      .sort((a, b) => a.start - b.start);
    let last: Span | undefined;
    for (const span of spans) {
      if (hidden.has(span.name)) continue;
      if (!last || last.end <= span.start || hidden.has(last.name)) {
        last = span;
        continue;
      }
      const [under, over] = last.order < span.order ? [last, span] : [span, last];
      hidden.set(over.name, under.name);
      last = under;
    }
  }
  return [...hidden].map(([name, under]) => ({ name, under }));
}

interface Span {
  readonly name: string;
  readonly order: number;
  readonly start: number;
  readonly end: number;
}

/** An array without gaps is one span. */
function spansOf(name: string, order: number, register: Register): Span[] {
  const { offset, count = 1, stride = bytesOf(register) } = register;
  const bytes = bytesOf(register);
  if (stride === bytes) return [{ name, order, start: offset, end: offset + count * bytes }];
  return Array.from({ length: count }, (_, index) => {
    const start = offset + index * stride;
    return { name, order, start, end: start + bytes };
  });
}

/** Counts the elements of a table's arrays, to end before there are too many of them. */
export function openBudget(): { take(count: number): boolean } {
  let left = MAX_IN_ARRAYS;
  return {
    take: (count) => {
      if (count > left) return false;
      left -= count;
      return true;
    },
  };
}
