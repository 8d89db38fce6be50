/**
 * A program for the tests: `bun copy-packets.ts IN.ivf OUT [REPEAT]` writes IN's packets to OUT, as a 12 fps video.
 * On a MediaError it prints {code, message, written} as JSON on standard error and exits with 3.
 * With NONBLOCKING set, standard output is made non-blocking first.
 */
import { dlopen } from "bun:ffi";
import { readFileSync } from "node:fs";
import { frameTimeUs, MediaError, MILLISECONDS } from "../../src/media/video.ts";
import { openPacketWriter } from "../../src/media/writer.ts";
import { readIvf } from "./read-ivf.ts";

const [input = "", output = "", repeat = "1"] = process.argv.slice(2);
if (process.env.NONBLOCKING) {
  const libc = dlopen("libc.so.6", { fcntl: { args: ["i32", "i32", "i32"], returns: "i32" } });
  const F_SETFL = 4;
  const O_NONBLOCK = 0o4000;
  if (libc.symbols.fcntl(1, F_SETFL, O_NONBLOCK) !== 0) throw new Error("fcntl failed");
}
const { packets, width, height } = readIvf(readFileSync(input));
const fps = { num: 12, den: 1 };
let written = 0;
try {
  await using writer = await openPacketWriter(output, {
    width,
    height,
    format: "i420",
    fps,
    timebase: MILLISECONDS,
  });
  for (let round = 0; round < Number(repeat); round++) {
    for (const [i, { data }] of packets.entries()) {
      const timestampUs = frameTimeUs(written, fps);
      await writer.write({ data, type: i === 0 ? "key" : "delta", timestampUs, durationUs: 83_333 });
      written++;
    }
  }
} catch (error) {
  if (!(error instanceof MediaError)) throw error;
  console.error(JSON.stringify({ code: error.code, message: error.message, written }));
  process.exit(3);
}
