/** Whether what a process holds grew with its work. */
import type { Held } from "./processes.ts";

/** Growth of memory that is not counted: a heap settles, and its allocator keeps some. */
const SLACK_SHARE = 0.05;
const SLACK_KIB = 8 * 1024;
/** Shares of all steps: what a process loads, compiles and reserves once comes before. */
const EARLY = [0.1, 0.4] as const;
const LATE_SHARE = 0.3;
/** With fewer steps there is no saying whether memory grows; descriptors are exact. */
const LEAST_STEPS = 10;
const LEAST_STEPS_OF_DESCRIPTORS = 4;

/**
 * Compares the least that was held after one of the early steps and after one of the late ones: garbage that is not collected
 * yet comes on top of it, and goes again.
 * @param held after each step, in order
 * @returns how it grew; undefined if it did not, or there are too few steps
 */
export function growthOf(held: readonly Held[]): string | undefined {
  const count = held.length;
  if (count < LEAST_STEPS_OF_DESCRIPTORS) return undefined;
  const [from, to] = EARLY.map((share) => Math.ceil(count * share)) as [number, number];
  const late = count - Math.ceil(count * LATE_SHARE);
  const least = (of: (one: Held) => number) =>
    [held.slice(from, to), held.slice(late)].map((steps) => Math.min(...steps.map(of))) as [number, number];
  const steps = `from steps ${from + 1} to ${to} to steps ${late + 1} to ${count}`;
  const [fewer, more] = least(({ descriptors }) => descriptors);
  if (more > fewer) return `descriptors grew from ${fewer} to ${more}, ${steps}`;
  const [earlyKiB, lateKiB] = least(({ memoryKiB }) => memoryKiB);
  if (count >= LEAST_STEPS && lateKiB > earlyKiB * (1 + SLACK_SHARE) + SLACK_KIB)
    return `memory grew from ${earlyKiB} to ${lateKiB} KiB, ${steps}; ${SLACK_SHARE * 100} % and ${SLACK_KIB} KiB are allowed`;
  return undefined;
}

/** The value below which a share of all values lies; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
