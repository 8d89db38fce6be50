import { type Codec, CodecError, type CodecPacket, type CodecSettings } from "./engine.ts";
import { checkFrame, checkSettings, frameLayout, frameViews } from "./layout.ts";

const packageName = "@napi-rs/webcodecs";

/** In one-pass variable rate libvpx budgets a key frame as this many average frames (vp9_ratectrl.c, kf_ratio). */
const keyFrameBudget = 25;

/**
 * Loads the optional package `@napi-rs/webcodecs`, FFmpeg and its own libvpx in one prebuilt file.
 *
 * @throws {CodecError} when it is not installed, or has no build for this machine, and in a standalone binary
 */
export async function loadWebcodecs() {
  // It would be loaded from the node_modules of whatever folder the binary was started in.
  if (Bun.isStandaloneExecutable)
    throw new CodecError(
      "webcodecs: a standalone binary is without it; use libvpx, or a clone of the project",
    );
  try {
    const { VideoEncoder, VideoFrame } = await import("@napi-rs/webcodecs");
    const about: { version: string } = await Bun.file(
      new URL("package.json", import.meta.resolve(packageName)),
    ).json();
    return { VideoEncoder, VideoFrame, version: `${packageName} ${about.version}` };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new CodecError(`webcodecs: ${reason}. Install it: npm install ${packageName}`, { cause });
  }
}

/**
 * A VP9 encoder for machines without libvpx, with much less control. As measured with 1.3.1: the package keeps libvpx's
 * look-ahead of 25 frames, whatever its latency mode, and only a flush gives a frame's packet before 25 later frames are
 * fed; a flush ends the encoder's stream. So that every frame has its packet at once, **each is flushed and therefore a
 * key frame**: `gopFrames` and `forceKey` are always met, and the bitrate is held (roughly) at the cost of quality.
 *
 * - `speed` and `threads` are the package's own (7, and one a processor), cbr is the same as vbr.
 * - Without `bitrateKbps` frames are as good, and as large, as the package's 5 Mbit/s allow a first frame.
 * - `cqLevel` is refused: the package's quantizer has no dependable effect. cq without it is a constant quality of 23.
 * - Odd widths and heights are refused: the package loses their last column or row of chroma.
 *
 * @throws {CodecError} when the package is missing or the settings are refused
 */
export async function openWebcodecs(settings: CodecSettings): Promise<Codec> {
  checkSettings(settings);
  const { VideoEncoder, VideoFrame, version } = await loadWebcodecs();
  const { width, height, timebase, fps, bitrateKbps } = settings;
  if (settings.cqLevel !== null) {
    throw new CodecError(
      `${version}: cqLevel ${settings.cqLevel}: this engine has no quality levels; libvpx has`,
    );
  }
  if (width % 2 !== 0 || height % 2 !== 0) {
    throw new CodecError(
      `${version}: picture of ${width}x${height}: only even sizes; libvpx takes odd ones too`,
    );
  }
  const layout = frameLayout(settings);
  const bytesAt = frameViews(layout.sizeBytes);
  const microseconds = (ticks: number) => Math.round((ticks * timebase.num * 1e6) / timebase.den);

  let packets: { data: Uint8Array<ArrayBuffer>; key: boolean }[] = [];
  let failure: Error | undefined;
  const encoder = new VideoEncoder({
    output(chunk) {
      const data = new Uint8Array(new ArrayBuffer(chunk.byteLength));
      chunk.copyTo(data);
      packets.push({ data, key: chunk.type === "key" });
    },
    error(error) {
      failure = error;
    },
  });
  const attempt = async <Result>(what: string, action: () => Result | Promise<Result>): Promise<Result> => {
    failure = undefined;
    try {
      const result = await action();
      if (failure !== undefined) throw failure;
      return result;
    } catch (cause) {
      throw new CodecError(`${version}: ${what}: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      });
    }
  };
  const close = () => {
    if (encoder.state !== "closed") encoder.close();
  };
  await attempt("encoder not started", () =>
    encoder.configure({
      codec: "vp09.00.10.08",
      width,
      height,
      framerate: fps.num / fps.den,
      latencyMode: "realtime",
      bitrateMode: { cbr: "constant", vbr: "variable", cq: "quantizer" }[settings.rateControl] as "constant",
      ...(bitrateKbps === null ? {} : { bitrate: (bitrateKbps * 1000) / keyFrameBudget }),
    }),
  );
  return {
    version,
    encode(frame): Promise<CodecPacket[]> {
      return attempt(`frame at pts ${frame.pts}`, async () => {
        checkFrame(frame, layout);
        packets = [];
        const picture = new VideoFrame(bytesAt(frame.address), {
          format: settings.format === "i420" ? "I420" : "NV12",
          codedWidth: width,
          codedHeight: height,
          layout: layout.planes.map((plane) => ({ ...plane })),
          timestamp: microseconds(frame.pts),
          duration: microseconds(frame.duration),
        });
        try {
          encoder.encode(picture, { keyFrame: true });
        } finally {
          picture.close();
        }
        await encoder.flush();
        return packets.map((packet) => ({ ...packet, pts: frame.pts }));
      });
    },
    flush: () => [],
    [Symbol.dispose]: close,
  };
}
