/** The machine that the figures are from, without its name. */
import { readFileSync } from "node:fs";
import { availableParallelism, release } from "node:os";

export interface Machine {
  readonly processor: string;
  readonly processors: number;
  readonly kernel: string;
  readonly bun: string;
}

export function machine(): Machine {
  const model = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1];
  return {
    processor: model ?? process.arch,
    processors: availableParallelism(),
    kernel: release(),
    bun: Bun.version,
  };
}
