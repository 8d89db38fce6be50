import type { StreamTargetChunk } from "mediabunny";
import type { OutputFile } from "./output-file.ts";
import type { PacketWriter } from "./packet.ts";
import { PacketFile } from "./packet-file.ts";
import type { VideoFormat } from "./video.ts";
import { vp9CodecString } from "./vp9-level.ts";

interface Size {
  readonly width: number;
  readonly height: number;
}

/** EBML id of a Cluster (Matroska specification, RFC 9559, 5.1.3). */
const CLUSTER_ID = [0x1f, 0x43, 0xb6, 0x75];
const ID_BYTES = 4;
/** "Unknown size" (RFC 8794, 6.2) in the widths mediabunny reserves for the Segment's and the Clusters' sizes. */
const UNKNOWN_SEGMENT_SIZE = [0x07, 0xff, 0xff, 0xff, 0xff, 0xff];
const UNKNOWN_CLUSTER_SIZE = [0x0f, 0xff, 0xff, 0xff, 0xff];

/**
 * Placeholder for the display size, which vpxenc writes in pixels (RFC 9559, 5.1.4.1.28.12 to 14). mediabunny
 * can only write a ratio, reduced, in a unit that WebM does not have. Two consecutive numbers can't be
 * reduced, so their ratio keeps the size's place.
 */
const PLACEHOLDER = { width: 2 ** 47 + 1, height: 2 ** 47 + 2 };
const DISPLAY_UNIT = { pixels: 0, ratio: 3 } as const;

/** DisplayWidth, DisplayHeight (6 bytes each) and DisplayUnit. */
function displayElements({ width, height }: Size, unit: keyof typeof DISPLAY_UNIT): Buffer {
  const bytes = Buffer.alloc(22);
  bytes.set([0x54, 0xb0, 0x86], 0);
  bytes.writeUIntBE(width, 3, 6);
  bytes.set([0x54, 0xba, 0x86], 9);
  bytes.writeUIntBE(height, 12, 6);
  bytes.set([0x54, 0xb2, 0x81, DISPLAY_UNIT[unit]], 18);
  return bytes;
}

/**
 * Writes mediabunny's chunks so that the file is playable at any moment, even after a crash: sizes not known
 * yet are written as "unknown", and changes to earlier bytes (sizes, duration, index) wait until the bytes
 * they refer to are written. After the first failure nothing more is written; what the file holds is whole.
 */
class WebmSink {
  failure: unknown;
  /** Byte offsets of the Segment and of its first Cluster, once mediabunny has made the Segment's header. */
  segment = { start: -1, end: -1 };
  #patches: StreamTargetChunk[] = [];
  #pending: Promise<void> = Promise.resolve();
  readonly #file: OutputFile;
  readonly #display: Size | undefined;

  /** @param display the size that replaces the PLACEHOLDER */
  constructor(file: OutputFile, display: Size | undefined) {
    this.#file = file;
    this.#display = display;
  }

  /** The stream for mediabunny. It accepts every chunk; a failure is kept in `failure`. */
  stream(): WritableStream<StreamTargetChunk> {
    return new WritableStream({
      write: (chunk) => {
        this.#pending = this.#take(chunk).catch((error) => {
          this.failure ??= error;
        });
        return this.#pending;
      },
    });
  }

  /** Waits until all chunks so far are in the file; throws the failure. */
  async settled(): Promise<void> {
    await this.#pending;
    if (this.failure) throw this.failure;
  }

  async #take(chunk: StreamTargetChunk): Promise<void> {
    if (this.failure) return;
    if (chunk.position !== this.#file.size) {
      this.#patches.push(chunk);
      return;
    }
    if (this.#display) this.#setDisplaySize(chunk, this.#display);
    if (this.#file.seekable) this.#leaveSizesOpen(chunk);
    await this.#file.append(chunk.data);
    this.applyPatches();
  }

  applyPatches(): void {
    for (const { data, position } of this.#patches.splice(0)) this.#file.patch(data, position);
  }

  #setDisplaySize({ data, position }: StreamTargetChunk, display: Size): void {
    if (position > this.segment.start) return;
    const at = Buffer.from(data.buffer, data.byteOffset, data.length).indexOf(
      displayElements(PLACEHOLDER, "ratio"),
    );
    if (at >= 0) data.set(displayElements(display, "pixels"), at);
  }

  #leaveSizesOpen({ data, position }: StreamTargetChunk): void {
    const segment = this.segment.start - position;
    const cluster = segment >= 0 ? this.segment.end - position : 0;
    if (!CLUSTER_ID.every((byte, i) => data[cluster + i] === byte)) return;
    data.set(UNKNOWN_CLUSTER_SIZE, cluster + ID_BYTES);
    if (segment >= 0) data.set(UNKNOWN_SEGMENT_SIZE, segment + ID_BYTES);
  }
}

/** Width to show a picture at, in pixels, as in vpxenc; its height does not change. */
export function displayWidth({ width, pixelAspect }: VideoFormat): number {
  return pixelAspect ? Math.max(1, Math.round((width * pixelAspect.num) / pixelAspect.den)) : width;
}

/**
 * Writes VP9 as WebM into a newly opened file, packet by packet: at most one is held in memory. Closing fills
 * in the duration and the index (Cues); in a pipe it is a live WebM without a duration. Time stamps are
 * rounded to milliseconds, WebM's unit. The header gives the display size if pixels are not square, and says
 * full range if that is so. Without packets the result is a header with its video track, which ffmpeg and
 * vpxdec refuse, like every WebM without a frame.
 */
export async function webmWriter(file: OutputFile, video: VideoFormat): Promise<PacketWriter> {
  const { EncodedPacket, EncodedVideoPacketSource, Output, StreamTarget, WebMOutputFormat } = await import(
    "mediabunny"
  );
  const { width, height, pixelAspect, fullRange } = video;
  const display = pixelAspect && { width: displayWidth(video), height };
  const sink = new WebmSink(file, display);
  const output = new Output({
    format: new WebMOutputFormat({
      appendOnly: !file.seekable,
      minimumClusterDuration: 0, // a cluster for each key frame: the index names clusters only
      onSegmentHeader: (header, position) => {
        sink.segment = { start: position, end: position + header.length };
      },
    }),
    target: new StreamTarget(sink.stream()),
  });
  const source = new EncodedVideoPacketSource("vp9");
  const decoderConfig = {
    codec: vp9CodecString(video),
    codedWidth: width,
    codedHeight: height,
    ...(display ? { displayAspectWidth: PLACEHOLDER.width, displayAspectHeight: PLACEHOLDER.height } : {}),
    // Only the range: given a matrix, mediabunny would also write it into the key frames.
    ...(fullRange ? { colorSpace: { fullRange } } : {}),
  };
  output.addVideoTrack(source, { decoderConfig });
  await output.start();
  await sink.settled();
  return new PacketFile(file, {
    add: async ({ data, type, timestampUs, durationUs }) => {
      await source.add(new EncodedPacket(data, type, timestampUs / 1e6, durationUs / 1e6), { decoderConfig });
      await sink.settled();
    },
    complete: async () => {
      if (sink.failure) return;
      await output.finalize();
      await sink.settled();
      sink.applyPatches();
    },
  });
}
