import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFrameSource, type SourceOptions } from "../../src/media/source.ts";
import { frameSizeBytes } from "../../src/media/video.ts";

/** Real video, raw I420: two people talking. */
export const CLIP = join(import.meta.dir, "CiscoVT2people_320x192_12fps.yuv");
export const CLIP_VIDEO = {
  width: 320,
  height: 192,
  format: "i420",
  fps: { num: 12, den: 1 },
  timebase: { num: 1, den: 1000 },
} as const;
export const CLIP_FRAMES = 9;
export const CLIP_FRAME_BYTES = 92160;

const PACKAGES: Record<string, string> = {
  ffmpeg: "ffmpeg",
  ffprobe: "ffmpeg",
  vpxenc: "vpx-tools",
  vpxdec: "vpx-tools",
};

/** A folder that is gone at the end of the block: `using folder = tempFolder()`. */
export function tempFolder(): Disposable & { file(name: string): string } {
  const path = mkdtempSync(join(tmpdir(), "vfiokit-media-"));
  return {
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code. Throws when the program isn't installed. */
export function outcome(command: string[], options: { cwd?: string } = {}): Outcome {
  const [program = ""] = command;
  if (!Bun.which(program))
    throw new Error(`these tests need ${program}: apt-get install ${PACKAGES[program] ?? program}`);
  const child = Bun.spawnSync(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe", ...options });
  return { exitCode: child.exitCode, stdout: child.stdout, stderr: child.stderr.toString() };
}

/** Runs a command that must succeed; gives its output. */
export function run(...command: string[]): Buffer {
  const { exitCode, stdout, stderr } = outcome(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with ${exitCode}:\n${stderr}`);
  return stdout;
}

/** Runs a line of bash in which `bun` is this one and `$1`, `$2`... are the arguments. */
export function bash(line: string, ...args: string[]): Outcome {
  return outcome([
    "bash",
    "-o",
    "pipefail",
    "-c",
    `bun() { "$BUN" "$@"; }\nBUN=${process.execPath}\n${line}`,
    "bash",
    ...args,
  ]);
}

/** The clip as vpxenc writes it, packet sizes 37 KB and then under 2 KB each. */
export function vpxencClip(output: string, ...more: string[]): void {
  const settings = "--rt --lag-in-frames=0 --cpu-used=8 --threads=1 --end-usage=cbr --target-bitrate=500";
  const input = "--i420 -w 320 -h 192 --fps=12/1";
  run("vpxenc", ...settings.split(" "), ...input.split(" "), "--ivf", ...more, "-o", output, CLIP);
}

/** Frames that vpxdec decodes, as one MD5; fails when vpxdec finds the file or a frame broken. */
export function decodedMd5(file: string, ...more: string[]): string {
  return run("vpxdec", "--i420", "--md5", ...more, file)
    .toString()
    .split(" ")[0]!;
}

/** Time stamps in seconds of every packet, as ffprobe reads them; fails when ffprobe has anything to complain about. */
export function packetTimes(file: string): number[] {
  const { exitCode, stdout, stderr } = outcome([
    ..."ffprobe -v error -show_entries packet=pts_time -of csv=p=0".split(" "),
    file,
  ]);
  if (exitCode !== 0 || stderr) throw new Error(`ffprobe ${file} ended with ${exitCode}: ${stderr}`);
  return stdout.toString().split("\n").filter(Boolean).map(Number.parseFloat);
}

/** What `act` throws or rejects with; fails when it does neither. */
export async function failure(act: () => unknown): Promise<Error> {
  try {
    await act();
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error("it should have failed, and did not");
}

/** All frames, and the error at the end if there was one. */
export async function readAll(
  input: string,
  options: SourceOptions = {},
): Promise<{ frames: Buffer[]; error?: Error }> {
  using source = await openFrameSource(input, options);
  const frames: Buffer[] = [];
  for (;;) {
    const frame = Buffer.alloc(frameSizeBytes(source.video));
    try {
      if (!(await source.read(frame))) return { frames };
    } catch (error) {
      return { frames, error: error as Error };
    }
    frames.push(frame);
  }
}

/** Frames in a file that two decoders take without a complaint, and all of whose packets they decode. */
export function decodableFrames(file: string): number {
  const pictures = run(
    "ffmpeg",
    "-v",
    "error",
    "-xerror",
    "-i",
    file,
    "-fps_mode",
    "passthrough",
    "-f",
    "framemd5",
    "-",
  );
  const count = pictures
    .toString()
    .split("\n")
    .filter((line) => /^\d/.test(line)).length;
  if (count > 0) decodedMd5(file);
  expect(packetTimes(file)).toHaveLength(count);
  return count;
}
