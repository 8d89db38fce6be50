/** A benchmark: something of ours beside what people use for it now, or beside itself elsewhere. */
export interface BenchCase {
  readonly name: string;
  readonly about: string;
  /** Most that ours may take, as a ratio. */
  readonly bound: number;
  /** Measures, and prints what it finds. Throws Error saying what is missing and how to get it, or what differed. */
  measure(rounds: number): Promise<BenchResult>;
}

/** What --json writes of a case; some have more. */
export interface BenchResult {
  readonly name: string;
  readonly unit: "s" | "ms";
  /** Median of the rounds' own ratios: a machine's speed drifts more between rounds than within one. */
  readonly ratio: number;
  readonly bound: number;
  readonly rounds: number;
  /** An SVG document of it. */
  readonly draw?: () => string;
}

/** The path of a program. Throws Error naming the Debian package that has it. */
export function program(name: string, debianPackage: string): string {
  const path = Bun.which(name);
  if (!path) throw new Error(`${name} is not installed; apt-get install ${debianPackage}`);
  return path;
}
