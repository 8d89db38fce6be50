import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bunProgram } from "../../src/os/bun-program.ts";
import { type BenchCase, program } from "./case.ts";
import { decodeStreet } from "./clip.ts";
import { type Contest, hold } from "./contest.ts";

const ENCODE = fileURLToPath(new URL("../encode.ts", import.meta.url));

/** encode.ts with its model, compared with vpxenc on the same libvpx: CBR at 4 Mbit/s, speed 8, one codec thread. */
export const encode: BenchCase = {
  name: "encode",
  about: "1080p file to VP9 on the DMA path, against vpxenc",
  bound: 1.1,
  async measure(rounds) {
    return { name: this.name, bound: this.bound, ...(await hold(prepare, rounds)) };
  },
};

async function prepare(folder: string): Promise<Contest> {
  const vpxenc = program("vpxenc", "vpx-tools");
  const input = await decodeStreet(folder);
  const [ours, theirs] = [join(folder, "ours.ivf"), join(folder, "theirs.ivf")];
  return {
    ours: [
      ...bunProgram(ENCODE),
      input,
      "-o",
      ours,
      "--rc=cbr",
      "--bitrate=4000",
      "--threads=1",
      "--path=dma",
      "--quiet",
    ],
    theirs: [
      vpxenc,
      "--rt",
      "--lag-in-frames=0",
      "--end-usage=cbr",
      "--target-bitrate=4000",
      "--cpu-used=8",
      "--threads=1",
      "--ivf",
      "--quiet",
      "-o",
      theirs,
      input,
    ],
    async check() {
      const [a, b] = await Promise.all([Bun.file(ours).bytes(), Bun.file(theirs).bytes()]);
      if (a.byteLength === 0 || !Buffer.from(a.buffer).equals(b))
        throw new Error("the two files differ, so the times can't be compared");
    },
  };
}
