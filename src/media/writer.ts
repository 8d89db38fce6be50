import { ivfWriter } from "./ivf.ts";
import { MediaError, quoted } from "./media-error.ts";
import { OutputFile } from "./output-file.ts";
import type { PacketWriter } from "./packet.ts";
import { checkSize, type VideoFormat } from "./video.ts";
import { webmWriter } from "./webm.ts";

/** A container by its name, which is also the ending of its files. */
export type ContainerName = "ivf" | "webm";

type OpenWriter = (file: OutputFile, video: VideoFormat) => Promise<PacketWriter>;

const WRITERS: Readonly<Record<ContainerName, OpenWriter>> = { ivf: ivfWriter, webm: webmWriter };

/** Every container. */
export const containerNames = Object.keys(WRITERS) as ContainerName[];

/**
 * The container of an output: as its name ends, or as `given`, or IVF for standard output ("-"). Throws
 * MediaError if the name ends in neither and none is given, or if they differ.
 */
export function containerFor(output: string, given?: ContainerName): ContainerName {
  const ending = output === "-" ? undefined : /\.([^./]+)$/.exec(output)?.[1]?.toLowerCase();
  const named = containerNames.find((name) => name === ending);
  if (named && given && named !== given)
    throw new MediaError(
      `${quoted(output)} ends in .${ending}, but the container given is ${given}. Rename the file, or leave the container out`,
    );
  const container = given ?? named ?? (output === "-" ? "ivf" : undefined);
  if (!container)
    throw new MediaError(
      `${quoted(output)} does not end in .ivf or .webm, the supported containers. ` +
        'Rename it, give "-" for IVF on standard output, or say the container',
      { missing: ["container"] },
    );
  return container;
}

/** The writer for an output's container. Throws as containerFor does. */
export function writerFor(output: string, container?: ContainerName): OpenWriter {
  return WRITERS[containerFor(output, container)];
}

/** Begins to load the container's library, so that openPacketWriter waits less for it. */
export function prepareContainer(container: ContainerName): void {
  if (container === "webm") import("mediabunny").catch(() => {}); // webmWriter throws it
}

/**
 * Creates or empties `output` and writes VP9 packets into it: IVF or WebM by its ending (.ivf, .webm); "-" is
 * standard output. The WebM library is loaded only to write WebM.
 * @param notSameAs the input's path, or "-" for standard input; `output` is refused, untouched, if it is the
 * same file
 * @param container needed for a name with another ending; IVF by default for standard output
 * @throws MediaError for another ending, for a container that is not the ending's, for the input itself, or naming the errno if it can't be opened
 */
export async function openPacketWriter(
  output: string,
  video: VideoFormat,
  notSameAs?: string,
  container?: ContainerName,
): Promise<PacketWriter> {
  const writer = writerFor(output, container);
  checkSize(video, quoted(output));
  // Before an existing file is emptied: loading takes a while, in which the caller may be told to end.
  if (writer === webmWriter) await import("mediabunny");
  const file = await OutputFile.open(output, notSameAs);
  try {
    return await writer(file, video);
  } catch (error) {
    file.close();
    throw error;
  }
}
