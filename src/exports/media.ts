/** vfiokit/media: raw video in (y4m, planes, packed 4:2:2), packets of VP9 out (IVF, WebM). No device in sight. */
import "../os/bun-version.ts";
import "./globals.ts";

export { builtInClip } from "../media/clip.ts";
export type { ColorSpace } from "../media/color.ts";
export type { KnownVideo, NameGuess } from "../media/file-name.ts";
export { ivfWriter } from "../media/ivf.ts";
export { OutputFile } from "../media/output-file.ts";
export type { Packet, PacketWriter } from "../media/packet.ts";
export type { RawFormat } from "../media/raw-format.ts";
export { type FrameSource, openFrameSource, type SourceOptions } from "../media/source.ts";
export {
  checkFps,
  checkPixelAspect,
  checkSize,
  frameSizeBytes,
  frameTimeUs,
  MediaError,
  MILLISECONDS,
  type PixelFormat,
  type Rational,
  toTicks,
  type VideoFormat,
} from "../media/video.ts";
export { vp9CodecString } from "../media/vp9-level.ts";
export { webmWriter } from "../media/webm.ts";
export { type ContainerName, containerFor, openPacketWriter, writerFor } from "../media/writer.ts";
export { parseY4mHeader, type Y4mHeader, type Y4mLine, y4mRate } from "../media/y4m.ts";
