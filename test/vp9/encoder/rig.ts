import { readdirSync, readFileSync } from "node:fs";
import {
  type EncodedChunk,
  type EncodedChunkMetadata,
  type Encoder,
  type EncoderConfig,
  openEncoder,
} from "../../../src/index.ts";
import { frameTimeUs } from "../../../src/media/video.ts";
import { CLIP, CLIP_FRAME_BYTES, CLIP_FRAMES } from "../../media/rig.ts";
import { openFds } from "../../os/open-fds.ts";

const clip = new Uint8Array(readFileSync(CLIP));

/** Frames of the clip of people, with their times at 12 frames a second. */
export const frames = Array.from({ length: CLIP_FRAMES }, (_, index) => ({
  data: clip.subarray(index * CLIP_FRAME_BYTES, (index + 1) * CLIP_FRAME_BYTES),
  timestamp: frameTimeUs(index, { num: 12, den: 1 }),
  duration: frameTimeUs(index + 1, { num: 12, den: 1 }) - frameTimeUs(index, { num: 12, den: 1 }),
}));

export const config: EncoderConfig = {
  width: 320,
  height: 192,
  framerate: 12,
  bitrateMode: "constant",
  bitrate: 300_000,
};

export interface Recorded extends Disposable {
  readonly encoder: Encoder;
  readonly chunks: EncodedChunk[];
  /** One for each chunk. */
  readonly metadata: EncodedChunkMetadata[];
  readonly errors: Error[];
}

/** An encoder that keeps what it gives. */
export function record(options: Partial<Parameters<typeof openEncoder>[0]> = {}): Recorded {
  const chunks: EncodedChunk[] = [];
  const metadata: EncodedChunkMetadata[] = [];
  const errors: Error[] = [];
  const encoder = openEncoder({
    recover: 0,
    ...options,
    output: (chunk, about) => {
      chunks.push(chunk);
      metadata.push(about);
    },
    error: (error) => errors.push(error),
  });
  return { encoder, chunks, metadata, errors, [Symbol.dispose]: () => encoder.close() };
}

/** What can be compared of chunks, short enough for a message. */
export function summary(chunks: readonly EncodedChunk[]): string[] {
  return chunks.map(
    ({ type, timestamp, duration, data }) =>
      `${type} at ${timestamp} for ${duration}: ${data.byteLength} bytes, ${Bun.hash(data).toString(16)}`,
  );
}

/** The clip's chunks, encoded one call after the other. */
export async function encodeClip(options: Parameters<typeof record>[0] = {}): Promise<string[]> {
  using recorded = record(options);
  await recorded.encoder.configure(config);
  for (const frame of frames) await recorded.encoder.encode(frame);
  await recorded.encoder.flush();
  return summary(recorded.chunks);
}

/** Process ids of a process's children; this one's, if none is named. */
export function children(parent = process.pid): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      if (!(pid > 0)) return false;
      try {
        return new RegExp(`^PPid:\t${parent}$`, "m").test(readFileSync(`/proc/${pid}/status`, "latin1"));
      } catch {
        return false; // gone meanwhile
      }
    });
}

/**
 * What `look` finds, as soon as that is what is expected, or at the end of 2 s: Bun closes a child's descriptors on another
 * thread, a moment after the child has ended.
 */
export async function settled<T>(look: () => T, expected: T): Promise<T> {
  const deadline = performance.now() + 2000;
  for (;;) {
    const found = look();
    if (Bun.deepEquals(found, expected) || performance.now() > deadline) return found;
    await Bun.sleep(10);
  }
}

/** What `look` finds, once that has been the same for 100 ms: an earlier test's child may still be closed. */
export async function steady<T>(look: () => T): Promise<T> {
  for (let before = look(); ; ) {
    await Bun.sleep(100);
    const found = look();
    if (Bun.deepEquals(found, before)) return found;
    before = found;
  }
}

/** Descriptors and named mappings (files, memfds, libraries) that this process holds. */
export function holdings(): { fds: number; maps: number } {
  const maps = readFileSync("/proc/self/maps", "latin1").split("\n");
  return {
    fds: openFds("self"),
    maps: maps.filter((line) => line.includes("/")).length,
  };
}
