/** The clip to encode. */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { program } from "./case.ts";

const CLIP = fileURLToPath(
  new URL("../../test/media/VID_1920x1080_cavlc_temporal_direct.264", import.meta.url),
);

/** Writes 54 frames of 1080p, repeated `times` times, as y4m into a folder; returns the file's path. Throws Error. */
export async function decodeStreet(folder: string, times = 1): Promise<string> {
  const ffmpeg = program("ffmpeg", "ffmpeg");
  const path = join(folder, "street.y4m");
  const decoding = Bun.spawn([ffmpeg, "-v", "error", "-i", CLIP, "-pix_fmt", "yuv420p", path], {
    stdin: "ignore",
  });
  if ((await decoding.exited) !== 0) throw new Error(`ffmpeg could not decode ${CLIP}`);
  const once = readFileSync(path);
  const frames = once.subarray(once.indexOf("\n") + 1); // what follows the header
  for (let i = 1; i < times; i++) appendFileSync(path, frames);
  return path;
}
