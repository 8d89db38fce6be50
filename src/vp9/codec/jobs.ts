/**
 * What the message thread asks of a codec thread, and what it answers. Jobs are carried out in order. Both go over a
 * MessagePort; since the message thread sleeps in poll(2), an eventfd tells it that results wait.
 */
import type { CodecPacket, CodecSettings } from "./codec.ts";

export type CodecJob =
  | { readonly kind: "open"; readonly id: number; readonly settings: CodecSettings }
  | {
      readonly kind: "encode";
      readonly id: number;
      /** Where the frame lies in this process's memory: address and size of each of its pieces, one behind the other. */
      readonly pieces: Float64Array<ArrayBuffer>;
      readonly pts: number;
      readonly duration: number;
      readonly forceKey: boolean;
    }
  | { readonly kind: "flush"; readonly id: number }
  /** Drops the codec. Jobs with a smaller id that are not begun are answered, but not carried out. */
  | { readonly kind: "close"; readonly id: number };

/** What goes to a codec thread: "end" is not answered. */
export type CodecOrder = CodecJob | { readonly kind: "end" };

export interface CodecResult {
  readonly id: number;
  readonly packets: readonly CodecPacket[];
  readonly busyUs: number;
  /** Why the job failed. */
  readonly error?: string;
}
