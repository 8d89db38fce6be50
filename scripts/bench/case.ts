/** A benchmark: something of ours beside what people use for it now, both as whole processes. */
export interface BenchCase {
  readonly name: string;
  readonly about: string;
  /** Most that ours may take of theirs. */
  readonly bound: number;
  /** Makes what both sides need in `folder`. Throws Error saying what is missing and how to get it. */
  prepare(folder: string): Promise<Contest>;
}

export interface Contest {
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
  /** After each round: throws Error where the two did not do the same work. */
  check(): Promise<void>;
}

/** The path of a program. Throws Error naming the Debian package that has it. */
export function program(name: string, debianPackage: string): string {
  const path = Bun.which(name);
  if (!path) throw new Error(`${name} is not installed; apt-get install ${debianPackage}`);
  return path;
}
