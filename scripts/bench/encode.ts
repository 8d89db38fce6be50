import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BenchCase } from "./case.ts";
import { program } from "./case.ts";

const ENCODE = fileURLToPath(new URL("../encode.ts", import.meta.url));
const CLIP = fileURLToPath(
  new URL("../../test/media/VID_1920x1080_cavlc_temporal_direct.264", import.meta.url),
);

/** encode.ts, its model and all, beside vpxenc on the same libvpx: CBR at 4 Mbit/s, speed 8, one codec thread. */
export const encode: BenchCase = {
  name: "encode",
  about: "1080p file to VP9 through the DMA path, beside vpxenc",
  bound: 1.1,
  async prepare(folder) {
    const vpxenc = program("vpxenc", "vpx-tools");
    const ffmpeg = program("ffmpeg", "ffmpeg");
    const input = join(folder, "street.y4m");
    const [ours, theirs] = [join(folder, "ours.ivf"), join(folder, "theirs.ivf")];
    const decoding = Bun.spawn([ffmpeg, "-v", "error", "-i", CLIP, "-pix_fmt", "yuv420p", input], {
      stdin: "ignore",
    });
    if ((await decoding.exited) !== 0) throw new Error(`ffmpeg could not decode ${CLIP}`);
    return {
      ours: [
        process.execPath,
        ENCODE,
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
  },
};
