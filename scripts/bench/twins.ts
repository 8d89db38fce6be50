/** What a driver does most, beside C that does the same: test/bench/c. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bunProgram } from "../../src/os/bun-program.ts";
import { type BenchCase, type Comparison, type Metric, program } from "./case.ts";
import { ROOT } from "./checkout.ts";
import { outputOf, printedBy } from "./measure.ts";

const ratio = (name: string, unit: Metric["unit"], atMost: number, limit: string): Metric => ({
  name,
  unit,
  bounds: "ratio",
  atMost,
  limit,
});

/** 20 frames of 1080p. */
const FILE_BYTES = 20 * ((1920 * 1080 * 3) / 2);

export const twinCases: readonly BenchCase[] = [
  {
    name: "access",
    about:
      "single accesses to a mapped BAR and to DMA memory; copies of 1080p frames; words that another thread changes",
    theirs: "C through function pointers, pread",
    metrics: [
      ratio("register read", "ns", 2.5, "one call from JavaScript"),
      ratio("register write", "ns", 2.5, "one call from JavaScript"),
      ratio("DMA word read", "ns", 2.5, "one call from JavaScript"),
      ratio("frame to window", "us", 1.05, "memory bandwidth"),
      ratio("file to memory", "us", 1.05, "memory bandwidth"),
      ratio("two changes seen", "ns", 1.5, "a cache line's way between cores"),
      { name: "two changes seen, poke.ts --wait", unit: "us", bounds: "none" },
    ],
    prepare: (folder) => {
      const file = join(folder, "frames.yuv");
      writeFileSync(file, new Uint8Array(FILE_BYTES).fill(16));
      return twins("access", folder, [file]);
    },
  },
  {
    name: "messages",
    about: "accesses, interrupts and mappings over vfio-user, a client and a server",
    theirs: "C client and server",
    metrics: [
      ratio("read", "us", 1, "two switches of process"),
      ratio("write", "us", 1, "two switches of process"),
      ratio("posted write", "us", 1, "a system call on each side"),
      ratio("write to interrupt, blocking", "us", 1.5, "two switches of process"),
      ratio("write to interrupt, async", "us", 4, "two switches of process"),
      ratio("map and unmap 4 KiB", "us", 1.3, "four switches of process"),
      ratio("map and unmap 64 MiB", "us", 1.3, "four switches of process"),
    ],
    prepare: (folder) => twins("messages", folder),
  },
];

/** programs/NAME.ts and test/bench/c/NAME.c. */
async function twins(name: string, folder: string, words: readonly string[] = []): Promise<Comparison> {
  const binary = await compileTwin(name, folder);
  return {
    ours: (root) => printedBy([...bunProgram(join(root, `scripts/bench/programs/${name}.ts`)), ...words]),
    theirs: () => printedBy([binary, ...words]),
  };
}

/** The path of test/bench/c/NAME.c, compiled into a folder. Throws Error with gcc's words. */
export async function compileTwin(
  name: string,
  folder: string,
  options: readonly string[] = [],
): Promise<string> {
  const binary = join(folder, name);
  const source = join(ROOT, `test/bench/c/${name}.c`);
  const gcc = [program("gcc", "gcc"), "-O2", "-pthread", "-Wall", "-Wextra", "-Werror"];
  await outputOf([...gcc, ...options, source, "-o", binary]);
  return binary;
}
