/** The input of the campaign `kills`, and the packets of runs without faults. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ivfPackets } from "../packets.ts";
import { exitOf, type ProgramOptions, startProgram } from "../program.ts";
import { type EncodeCase, FRAMES } from "./case.ts";

const SIDE = 64;
const LIMIT_MS = 60_000;
/** Beside a packet, at most: an IVF's 12 bytes, a WebM's fewer. */
const IVF_FRAME_HEADER = 12;
const IVF_HEADER = 32;
const WEBM_BLOCK_HEADER = 7;

type Codec = EncodeCase["codec"];

export interface Clip {
  readonly path: string;
  /** Packets of a run without faults. */
  readonly packets: Readonly<Record<Codec, readonly Uint8Array[]>>;
  /** At least so many bytes has an output with so many frames; an IVF exactly as many. */
  bytesOf(codec: Codec, container: "ivf" | "webm", frames: number): number;
}

/** Writes the clip, a picture that moves, into a folder, and encodes it once with each codec. */
export async function makeClip(options: ProgramOptions): Promise<Clip> {
  const path = join(options.folder, "clip.y4m");
  const frameBytes = (SIDE * SIDE * 3) / 2;
  const frame = (time: number) =>
    Buffer.from(Uint8Array.from({ length: frameBytes }, (_, i) => (i % SIDE) * 3 + (i >> 8) + time * 7));
  const header = Buffer.from(`YUV4MPEG2 W${SIDE} H${SIDE} F30:1\n`);
  const frames = Array.from({ length: FRAMES }, (_, time) => [Buffer.from("FRAME\n"), frame(time)]);
  writeFileSync(path, Buffer.concat([header, ...frames.flat()]));
  const packetsOf = async (codec: Codec) => {
    const output = join(options.folder, `${codec}.ivf`);
    const words = [path, "--codec", codec, "--quiet", "-o", output];
    await using program = startProgram("encode.ts", words, options);
    const { code } = await exitOf(program, "encode.ts", LIMIT_MS);
    const { packets, headerFrames } = ivfPackets(readFileSync(output));
    if (code !== 0 || packets.length !== FRAMES || headerFrames !== FRAMES)
      throw new Error(
        `a run without faults has exit code ${code}, ${packets.length} packets: ${program.said}`,
      );
    return packets;
  };
  const packets = { null: await packetsOf("null"), libvpx: await packetsOf("libvpx") };
  return {
    path,
    packets,
    bytesOf(codec, container, frames) {
      const [file, each] = container === "ivf" ? [IVF_HEADER, IVF_FRAME_HEADER] : [0, WEBM_BLOCK_HEADER];
      return packets[codec].slice(0, frames).reduce((sum, { length }) => sum + each + length, file);
    },
  };
}
