import { ivfWriter } from "./ivf.ts";
import { MediaError, quoted } from "./media-error.ts";
import { OutputFile } from "./output-file.ts";
import type { PacketWriter } from "./packet.ts";
import { checkSize, type VideoFormat } from "./video.ts";
import { webmWriter } from "./webm.ts";

/** Containers by the ending of the file name. */
const WRITERS: Readonly<Record<string, (file: OutputFile, video: VideoFormat) => Promise<PacketWriter>>> = {
  ivf: ivfWriter,
  webm: webmWriter,
};

/** The container for an output's name. Throws MediaError for any other ending. */
export function writerFor(output: string) {
  const ending = output === "-" ? "ivf" : (/\.([^./]+)$/.exec(output)?.[1]?.toLowerCase() ?? "");
  const writer = Object.hasOwn(WRITERS, ending) ? WRITERS[ending] : undefined;
  if (!writer)
    throw new MediaError(
      `${quoted(output)} does not end in .ivf or .webm, the supported containers. Rename it, or give "-" for IVF on standard output`,
    );
  return writer;
}

/**
 * Creates or empties `output` and writes VP9 packets into it: IVF or WebM by its ending (.ivf, .webm); "-" is
 * IVF on standard output. The WebM library is loaded only to write WebM.
 * @param notSameAs the input's path, or "-" for standard input; `output` is refused, untouched, if it is the
 * same file
 * @throws MediaError for another ending, for the input itself, or naming the errno if it can't be opened
 */
export async function openPacketWriter(
  output: string,
  video: VideoFormat,
  notSameAs?: string,
): Promise<PacketWriter> {
  const writer = writerFor(output);
  checkSize(video, quoted(output));
  const file = await OutputFile.open(output, notSameAs);
  try {
    return await writer(file, video);
  } catch (error) {
    file.close();
    throw error;
  }
}
