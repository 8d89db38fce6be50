/** Clips to encode, as y4m. */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { program } from "./case.ts";
import { outputOf } from "./measure.ts";

const CLIP = fileURLToPath(
  new URL("../../test/media/VID_1920x1080_cavlc_temporal_direct.264", import.meta.url),
);

/** Writes 54 frames of 1080p, repeated `times` times, into a folder; returns the file's path. Throws Error. */
export async function decodeStreet(folder: string, times = 1): Promise<string> {
  const path = join(folder, "street.y4m");
  await ffmpeg(["-i", CLIP, "-pix_fmt", "yuv420p", path]);
  const once = readFileSync(path);
  const frames = once.subarray(once.indexOf("\n") + 1); // what follows the header
  for (let i = 1; i < times; i++) appendFileSync(path, frames);
  return path;
}

/** Writes frames of ffmpeg's test picture, which moves, into a folder; returns the file's path. Throws Error. */
export async function testPicture(folder: string, size: string, frames: number): Promise<string> {
  const path = join(folder, `${size}.y4m`);
  const source = ["-f", "lavfi", "-i", `testsrc2=s=${size}:r=30`];
  await ffmpeg([...source, "-frames:v", `${frames}`, "-pix_fmt", "yuv420p", path]);
  return path;
}

async function ffmpeg(words: readonly string[]): Promise<void> {
  await outputOf([program("ffmpeg", "ffmpeg"), "-v", "error", ...words]);
}
