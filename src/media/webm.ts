import type { StreamTargetChunk } from "mediabunny";
import type { OutputFile } from "./output-file.ts";
import type { PacketWriter } from "./packet.ts";
import { PacketFile } from "./packet-file.ts";
import type { VideoFormat } from "./video.ts";
import { vp9CodecString } from "./vp9-level.ts";
import { headerOf, type Replacement } from "./webm-header.ts";

/** EBML id of a Cluster (Matroska specification, RFC 9559, 5.1.3). */
const CLUSTER_ID = [0x1f, 0x43, 0xb6, 0x75];
const ID_BYTES = 4;
/** "Unknown size" (RFC 8794, 6.2) in the widths mediabunny reserves for the Segment's and the Clusters' sizes. */
const UNKNOWN_SEGMENT_SIZE = [0x07, 0xff, 0xff, 0xff, 0xff, 0xff];
const UNKNOWN_CLUSTER_SIZE = [0x0f, 0xff, 0xff, 0xff, 0xff];

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
  readonly #replacements: readonly Replacement[];

  constructor(file: OutputFile, replacements: readonly Replacement[]) {
    this.#file = file;
    this.#replacements = replacements;
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
    this.#replaceInHeader(chunk);
    if (this.#file.seekable) this.#leaveSizesOpen(chunk);
    await this.#file.append(chunk.data);
    this.applyPatches();
  }

  applyPatches(): void {
    for (const { data, position } of this.#patches.splice(0)) this.#file.patch(data, position);
  }

  #replaceInHeader({ data, position }: StreamTargetChunk): void {
    if (position > this.segment.start) return;
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    for (const { from, to } of this.#replacements) {
      const at = bytes.indexOf(from);
      if (at >= 0) bytes.set(to, at);
    }
  }

  #leaveSizesOpen({ data, position }: StreamTargetChunk): void {
    const segment = this.segment.start - position;
    const cluster = segment >= 0 ? this.segment.end - position : 0;
    if (!CLUSTER_ID.every((byte, i) => data[cluster + i] === byte)) return;
    data.set(UNKNOWN_CLUSTER_SIZE, cluster + ID_BYTES);
    if (segment >= 0) data.set(UNKNOWN_SEGMENT_SIZE, segment + ID_BYTES);
  }
}

/**
 * Writes VP9 as WebM into a newly opened file, packet by packet: at most one is held in memory. Closing fills
 * in the duration and the index (Cues); in a pipe it is a live WebM without a duration. Time stamps are
 * rounded to milliseconds, WebM's unit. The header gives the display size if pixels are not square, and the
 * range and color space if they are known; the packets stay as they are. Without packets the result is a
 * header with its video track, which ffmpeg and vpxdec refuse, like every WebM without a frame.
 */
export async function webmWriter(file: OutputFile, video: VideoFormat): Promise<PacketWriter> {
  const { EncodedPacket, EncodedVideoPacketSource, Output, StreamTarget, WebMOutputFormat } = await import(
    "mediabunny"
  );
  const { told, replacements } = headerOf(video);
  const sink = new WebmSink(file, replacements);
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
    codedWidth: video.width,
    codedHeight: video.height,
    ...told,
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
