import type { NameGuess } from "./file-name.ts";
import type { RawFormat } from "./raw-format.ts";
import type { VideoFormat } from "./video.ts";

/** Raw frames, one after the other. Disposing closes the file; twice is harmless. */
export interface FrameSource extends Disposable {
  /** For messages: the path in quotes, "standard input" or "built-in clip". */
  readonly name: string;
  /** What `read` gives, which is what the encoder takes. */
  readonly video: VideoFormat;
  /** Whether the file is y4m; absent if there is no file. */
  readonly isY4m?: boolean;
  /** Layout of the file's frames if it is another one than `video.format`: `read` converts them. */
  readonly convertedFrom?: RawFormat;
  /** What the file's name added to what the user said, if SourceOptions.guess asked for that. */
  readonly guessed?: NameGuess;
  /** Number of whole frames: exact for the clip and raw files, an estimate for y4m files, null for pipes. */
  readonly frameCount: number | null;
  /**
   * Fills `into` (exactly frameSizeBytes) with the next frame: from a regular file directly and at once, from
   * a pipe off the main thread, through 64 KiB chunks. One call at a time.
   * @returns false at the clean end of input
   * @throws MediaError (after all the whole frames) if the input ends inside a frame, ends before the size
   * that the file had when it was opened, or is not what its header says
   */
  read(into: Uint8Array): boolean | Promise<boolean>;
}
