/** Whether what a process holds grew with its work. */
import type { Held } from "./processes.ts";

/** Growth of memory that is not counted: a heap settles, and its allocator keeps some. */
const SLACK_SHARE = 0.05;
const SLACK_KIB = 8 * 1024;
/** Of all steps: what a process loads, compiles and reserves once comes before. */
const SETTLED_SHARE = 0.3;
/** With fewer steps there is no saying whether memory grows; descriptors are exact. */
const LEAST_STEPS = 10;
const LEAST_STEPS_OF_DESCRIPTORS = 4;

/**
 * Compares the medians of the third tenth of the steps and of the last one.
 * @param held after each step, in order
 * @returns how it grew; undefined if it did not, or there are too few steps
 */
export function growthOf(held: readonly Held[]): string | undefined {
  if (held.length < LEAST_STEPS_OF_DESCRIPTORS) return undefined;
  const tenth = Math.max(1, Math.floor(held.length / 10));
  const settled = Math.ceil(held.length * SETTLED_SHARE);
  const early = held.slice(settled - tenth, settled);
  const late = held.slice(-tenth);
  const both = (of: (one: Held) => number) => [median(early.map(of)), median(late.map(of))] as const;
  const [earlyKiB, lateKiB] = both(({ memoryKiB }) => memoryKiB);
  const [fewer, more] = both(({ descriptors }) => descriptors);
  const steps = `from step ${settled} to step ${held.length}`;
  if (more > fewer) return `descriptors grew from ${fewer} to ${more}, ${steps}`;
  if (held.length >= LEAST_STEPS && lateKiB > earlyKiB * (1 + SLACK_SHARE) + SLACK_KIB)
    return `memory grew from ${earlyKiB} to ${lateKiB} KiB, ${steps}; ${SLACK_SHARE * 100} % and ${SLACK_KIB} KiB are allowed`;
  return undefined;
}

/** The value below which a share of all values lies; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
