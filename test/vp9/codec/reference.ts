/** The programs the engines are measured against, the clips, and the memory frames lie in. */
import { ptr } from "bun:ffi";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Codec,
  type CodecName,
  type CodecPacket,
  type CodecSettings,
  openCodec,
} from "../../../src/vp9/codec/codec.ts";
import type { Engine } from "../../../src/vp9/codec/engine.ts";

const media = join(import.meta.dir, "../../media");
/** Raw I420, 320x192, 12 frames a second, 9 frames. */
export const people = {
  path: join(media, "CiscoVT2people_320x192_12fps.yuv"),
  width: 320,
  height: 192,
  frames: 9,
};
/** H.264, 1920x1080, 25 frames a second. */
export const street = {
  path: join(media, "VID_1920x1080_cavlc_temporal_direct.264"),
  width: 1920,
  height: 1080,
};

/** A folder that is gone when its scope ends. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "vfiokit-codec-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** Runs a program to its end; throws with its words if it is missing or fails. */
export function run(command: string[], cwd?: string): { stdout: Uint8Array<ArrayBuffer>; stderr: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stderr: "pipe", ...(cwd ? { cwd } : {}) });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit ${exitCode}\n${stdout}${stderr}`);
  return { stdout: new Uint8Array(stdout), stderr: stderr.toString() };
}

export interface Clip {
  readonly width: number;
  readonly height: number;
  readonly format: "i420" | "nv12";
  readonly fps: { readonly num: number; readonly den: number };
  /** All frames, tightly packed one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const frameBytes = (width: number, height: number) =>
  width * height + 2 * Math.ceil(width / 2) * Math.ceil(height / 2);

/** The people clip, played `times` times, scaled and converted by ffmpeg where asked. */
export function peopleClip({
  width = people.width,
  height = people.height,
  format = "i420",
  times = 1,
  fps = { num: 12, den: 1 },
}: Partial<Pick<Clip, "width" | "height" | "format" | "fps">> & { times?: number } = {}): Clip {
  const source = [
    "-f",
    "rawvideo",
    "-pix_fmt",
    "yuv420p",
    "-s",
    `${people.width}x${people.height}`,
    "-i",
    people.path,
  ];
  return {
    width,
    height,
    format,
    fps,
    bytes: fromFfmpeg(["-stream_loop", `${times - 1}`, ...source], width, height, format),
  };
}

/** The first `frames` frames of the street clip. */
export function streetClip(frames: number): Clip {
  const { width, height, path } = street;
  const bytes = fromFfmpeg(["-i", path], width, height, "i420", ["-frames:v", `${frames}`]);
  return { width, height, format: "i420", fps: { num: 25, den: 1 }, bytes };
}

function fromFfmpeg(
  source: string[],
  width: number,
  height: number,
  format: Clip["format"],
  limit: string[] = [],
) {
  const pixels = format === "i420" ? "yuv420p" : "nv12";
  const wanted = [...limit, "-vf", `scale=${width}:${height}`, "-pix_fmt", pixels, "-f", "rawvideo", "-"];
  return run(["ffmpeg", "-v", "error", ...source, ...wanted]).stdout;
}

/** The frames of a clip, one view each. */
export function framesOf({ width, height, bytes }: Clip): Uint8Array<ArrayBuffer>[] {
  const size = frameBytes(width, height);
  return Array.from({ length: bytes.length / size }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

/** The same clip as frames in a larger buffer: `codedWidth` x `codedHeight`, filled with noise around the picture. */
export function padded(clip: Clip, codedWidth: number, codedHeight: number): Uint8Array<ArrayBuffer>[] {
  const half = (size: number) => Math.ceil(size / 2);
  const chroma = { rows: half(clip.height), codedRows: half(codedHeight) };
  const planes = [
    { rows: clip.height, codedRows: codedHeight, pitch: clip.width, codedPitch: codedWidth },
    ...(clip.format === "nv12"
      ? [{ ...chroma, pitch: 2 * half(clip.width), codedPitch: 2 * half(codedWidth) }]
      : [0, 1].map(() => ({ ...chroma, pitch: half(clip.width), codedPitch: half(codedWidth) }))),
  ];
  return framesOf(clip).map((tight) => {
    const frame = new Uint8Array(frameBytes(codedWidth, codedHeight)).map((_, index) => index * 151);
    let from = 0;
    let to = 0;
    for (const { rows, codedRows, pitch, codedPitch } of planes) {
      for (let row = 0; row < rows; row++) {
        frame.set(tight.subarray(from + row * pitch, from + (row + 1) * pitch), to + row * codedPitch);
      }
      from += rows * pitch;
      to += codedRows * codedPitch;
    }
    return frame;
  });
}

/** Settings for a clip, tightly packed, with vpxenc's timebase and one thread. */
export function settingsFor(clip: Clip, more: Partial<CodecSettings> = {}): CodecSettings {
  return {
    width: clip.width,
    height: clip.height,
    codedWidth: clip.width,
    codedHeight: clip.height,
    format: clip.format,
    timebase: { num: 1, den: 1000 },
    fps: clip.fps,
    rateControl: "cbr",
    bitrateKbps: null,
    cqLevel: null,
    gopFrames: null,
    speed: null,
    threads: 1,
    settings: {},
    temporalLayers: 1,
    ...more,
  };
}

/** Frame numbers as vpxenc gives them to libvpx: start and length in milliseconds. */
export function timing({ fps }: Clip, index: number): { pts: number; duration: number } {
  const start = (frame: number) => Math.floor((1000 * frame * fps.den) / fps.num);
  return { pts: start(index), duration: start(index + 1) - start(index) };
}

/** Gives one frame to a codec from memory of its own, as the endpoint would: by address. */
export async function encodeFrame(
  codec: Codec,
  bytes: Uint8Array<ArrayBuffer>,
  at: { pts: number; duration: number; forceKey?: boolean },
): Promise<CodecPacket[]> {
  const memory = new Uint8Array(new ArrayBuffer(bytes.length));
  memory.set(bytes);
  const frame = { address: Number(ptr(memory)), sizeBytes: memory.length, forceKey: false, ...at };
  const packets = await codec.encode(frame);
  memory.fill(0);
  return packets;
}

/** Encodes a whole clip with one engine: the packets of every frame, then those of the flush. */
export async function encodeClip(
  engine: CodecName | Engine,
  clip: Clip,
  settings: CodecSettings,
  frames: Uint8Array<ArrayBuffer>[] = framesOf(clip),
  isForced: (index: number) => boolean = () => false,
): Promise<CodecPacket[]> {
  using codec = await (typeof engine === "string" ? openCodec(engine, settings) : engine.open(settings));
  const packets: CodecPacket[] = [];
  for (const [index, bytes] of frames.entries()) {
    packets.push(...(await encodeFrame(codec, bytes, { ...timing(clip, index), forceKey: isForced(index) })));
  }
  packets.push(...(await codec.flush()));
  return packets;
}

/** What vpxenc, by default this machine's, makes of a clip with the same settings. */
export function vpxenc(
  clip: Clip,
  settings: CodecSettings,
  program: readonly string[] = ["vpxenc"],
): { pts: number; data: Uint8Array }[] {
  using folder = temporaryFolder();
  const input = join(folder.path, "in.yuv");
  const output = join(folder.path, "out.ivf");
  writeFileSync(input, clip.bytes);
  const option = (name: string, value: number | null) => (value === null ? [] : [`--${name}=${value}`]);
  run([
    ...[...program, "--codec=vp9", "--rt", "--lag-in-frames=0", "--ivf", "--quiet", `--${clip.format}`],
    ...[`--width=${clip.width}`, `--height=${clip.height}`, `--fps=${clip.fps.num}/${clip.fps.den}`],
    ...[`--threads=${settings.threads}`, `--end-usage=${settings.rateControl}`],
    ...option("target-bitrate", settings.bitrateKbps),
    ...option("cq-level", settings.cqLevel),
    ...option("kf-max-dist", settings.gopFrames),
    ...option("cpu-used", settings.speed),
    ...["-o", output, input],
  ]);
  const ivf = readFileSync(output);
  const packets = [];
  for (let at = 32; at < ivf.length; ) {
    const end = at + 12 + ivf.readUInt32LE(at);
    packets.push({
      pts: Number(ivf.readBigUInt64LE(at + 4)),
      data: new Uint8Array(ivf.subarray(at + 12, end)),
    });
    at = end;
  }
  return packets;
}

/** The pictures that ffmpeg decodes from packets, as tightly packed I420. */
export function decode({ width, height }: Clip, packets: CodecPacket[]): Uint8Array<ArrayBuffer> {
  using folder = temporaryFolder();
  const header = Buffer.alloc(32);
  header.write("DKIF\0\0 \0VP90", "latin1");
  header.writeUInt16LE(width, 12);
  header.writeUInt16LE(height, 14);
  header.writeUInt32LE(1000, 16);
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(packets.length, 24);
  const parts: Uint8Array[] = [header];
  for (const { data, pts } of packets) {
    const frameHeader = Buffer.alloc(12);
    frameHeader.writeUInt32LE(data.length, 0);
    frameHeader.writeBigUInt64LE(BigInt(pts), 4);
    parts.push(frameHeader, data);
  }
  const path = join(folder.path, "packets.ivf");
  writeFileSync(path, Buffer.concat(parts));
  return run([
    "ffmpeg",
    "-v",
    "error",
    "-i",
    path,
    "-fps_mode",
    "passthrough",
    "-pix_fmt",
    "yuv420p",
    "-f",
    "rawvideo",
    "-",
  ]).stdout;
}

/** Peak signal-to-noise ratio of two equally long runs of samples, in dB. */
export function psnr(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} samples against ${b.length}`);
  let squares = 0;
  for (let index = 0; index < a.length; index++) squares += (a[index]! - b[index]!) ** 2;
  return 10 * Math.log10((255 * 255 * a.length) / squares);
}
