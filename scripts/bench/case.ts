/** A benchmark: something of ours compared with what people use for it now, or with itself elsewhere. */
export interface BenchCase {
  readonly name: string;
  readonly about: string;
  /** Upper bound of the ratio. */
  readonly bound: number;
  /** Measures, and prints the results. Throws Error saying what is missing and how to get it, or what differed. */
  measure(rounds: number): Promise<BenchResult>;
}

/** The result that --json writes; some cases add more. */
export interface BenchResult {
  readonly name: string;
  readonly unit: "s" | "ms";
  /** Median of the per-round ratios: a machine's speed drifts more between rounds than within one. */
  readonly ratio: number;
  readonly bound: number;
  readonly rounds: number;
  /** Draws it as an SVG document. */
  readonly draw?: () => string;
}

/** The path of a program. Throws Error naming the Debian package that has it. */
export function program(name: string, debianPackage: string): string {
  const path = Bun.which(name);
  if (!path) throw new Error(`${name} is not installed; apt-get install ${debianPackage}`);
  return path;
}
