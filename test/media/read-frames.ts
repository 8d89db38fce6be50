/**
 * A program for the tests: `bun read-frames.ts INPUT [WxH [FORMAT]]` reads every frame and prints the source's name, video,
 * frameCount and the frames' MD5s as JSON. On a MediaError it prints {code, message} on standard error and exits with 3.
 * With NONBLOCKING set, standard input is made non-blocking first.
 */
import { dlopen } from "bun:ffi";
import type { RawFormat } from "../../src/media/raw-format.ts";
import { openFrameSource } from "../../src/media/source.ts";
import { frameSizeBytes, MediaError } from "../../src/media/video.ts";

const [input = "", size, format] = process.argv.slice(2);
const [width = 0, height = 0] = size?.split("x").map(Number) ?? [];
if (process.env.NONBLOCKING) {
  const libc = dlopen("libc.so.6", { fcntl: { args: ["i32", "i32", "i32"], returns: "i32" } });
  const F_SETFL = 4;
  const O_NONBLOCK = 0o4000;
  if (libc.symbols.fcntl(0, F_SETFL, O_NONBLOCK) !== 0) throw new Error("fcntl failed");
}
try {
  using source = await openFrameSource(
    input,
    size ? { size: { width, height }, format: format as RawFormat | undefined } : {},
  );
  const frame = new Uint8Array(frameSizeBytes(source.video));
  const md5s: string[] = [];
  while (await source.read(frame)) md5s.push(new Bun.CryptoHasher("md5").update(frame).digest("hex"));
  console.log(
    JSON.stringify({ name: source.name, video: source.video, frameCount: source.frameCount, md5s }),
  );
} catch (error) {
  if (!(error instanceof MediaError)) throw error;
  console.error(JSON.stringify({ code: error.code, message: error.message }));
  process.exit(3);
}
