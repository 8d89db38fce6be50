/** How much a frame allocates in JavaScript, which the garbage collector then has to collect. */
import { join } from "node:path";
import { bunProgram } from "../../src/os/bun-program.ts";
import { type BenchCase, type Figures, program } from "./case.ts";
import { ROOT } from "./checkout.ts";
import { testPicture } from "./clip.ts";
import { printedBy } from "./measure.ts";

/** @param frames 10 of 11 count, so that Bun has compiled what runs often */
export const allocationCase = (frames: number): BenchCase => ({
  name: "allocation",
  about:
    "the heap that each of many frames of 64x64 allocates in the driver's process, by DMA, if nothing is collected",
  theirs: "an await and a chunk of 16 bytes",
  metrics: [{ name: "a frame", unit: "B", bounds: "none" }],
  async prepare(folder) {
    const clip = await testPicture(folder, "64x64", frames);
    const range = [Math.round(frames / 11), frames].map(String);
    const programOf = (root: string, name: string) =>
      bunProgram(join(root, "scripts/bench/programs", `${name}.ts`));
    return {
      ours: (root) => uncollected([...programOf(root, "allocation"), clip, "allocated", ...range]),
      theirs: () => uncollected([...programOf(ROOT, "allocation-floor"), ...range]),
    };
  },
});

async function uncollected(command: readonly string[]): Promise<Figures> {
  const { bytes } = await printedBy([program("env", "coreutils"), "BUN_JSC_useGC=0", ...command]);
  return { "a frame": bytes! };
}

export const allocationCases: readonly BenchCase[] = [allocationCase(11_000)];
