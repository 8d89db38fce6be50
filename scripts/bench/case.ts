/** Benchmarks: something of ours beside what people use for it now, beside a C twin, or beside itself elsewhere. */
import type { Machine } from "./machine.ts";
import type { Spread } from "./spread.ts";

/** What one run of a side measured: values by their metrics' names. Smaller is better. */
export type Figures = Readonly<Record<string, number>>;

interface Measure {
  readonly name: string;
  readonly unit: "s" | "ms" | "us" | "ns" | "MiB" | "B";
}

/** A figure with a bound. */
export interface BoundMetric extends Measure {
  /** What `at most` bounds: ours divided by theirs, ours less theirs, or ours alone. */
  readonly bounds: "ratio" | "difference" | "value";
  readonly atMost: number;
  /** What can't be beaten here, in a few words. */
  readonly limit: string;
}

/** A figure that is shown and not judged. */
export interface FreeMetric extends Measure {
  readonly bounds: "none";
}

export type Metric = BoundMetric | FreeMetric;

/** Two sides that do the same work. */
export interface Comparison {
  /** Runs ours once. @param root the checkout that it comes from */
  ours(root: string): Promise<Figures>;
  theirs(): Promise<Figures>;
  /** Runs after each round. Throws Error if the two did not do the same work. */
  check?(): Promise<void>;
  /** Runs after the last round, also if one failed. */
  end?(): Promise<void>;
}

export interface BenchCase {
  readonly name: string;
  readonly about: string;
  readonly theirs: string;
  readonly metrics: readonly Metric[];
  /** Makes what the sides need in a folder. Throws Error saying what is missing and how to get it. */
  prepare(folder: string): Promise<Comparison>;
}

interface Measured {
  readonly ours: Spread;
  readonly theirs: Spread;
  /** Of the rounds' own ratios: a machine's speed drifts more between rounds than within one. */
  readonly ratio: Spread;
  /** The other commit's, if there is one. */
  readonly before?: Spread;
  /** Ours to the other commit's. */
  readonly change?: Spread;
}

/** `within` says whether the bound holds. */
export type MetricResult = Measured & ((BoundMetric & { readonly within: boolean }) | FreeMetric);

/** Whether a result has a bound and exceeds it. */
export const isOver = (metric: MetricResult): boolean => metric.bounds !== "none" && !metric.within;

/** What --json writes. */
export interface BenchReport {
  readonly machine: Machine;
  /** With a plus if files differed from it. */
  readonly commit: string;
  readonly cases: readonly CaseResult[];
}

export interface CaseResult {
  readonly name: string;
  readonly about: string;
  readonly theirs: string;
  readonly rounds: number;
  readonly metrics: readonly MetricResult[];
}

/** The path of a program. Throws Error naming the Debian package that has it. */
export function program(name: string, debianPackage: string): string {
  const path = Bun.which(name);
  if (!path) throw new Error(`${name} is not installed; apt-get install ${debianPackage}`);
  return path;
}
