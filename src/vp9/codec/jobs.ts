/**
 * Jobs that the message thread gives to a codec thread, and their results. Jobs run in order. Both go over a
 * MessagePort. The message thread sleeps in poll(2), so an eventfd tells it that results wait.
 */
import type { CodecPacket, CodecSettings } from "./codec.ts";

export type CodecJob =
  | { readonly kind: "open"; readonly id: number; readonly settings: CodecSettings }
  | {
      readonly kind: "encode";
      readonly id: number;
      /** The frame in this process's memory: address and size of each piece in turn. */
      readonly pieces: Float64Array<ArrayBuffer>;
      readonly pts: number;
      readonly duration: number;
      readonly forceKey: boolean;
      readonly quantizer?: number | undefined;
      readonly bitrateKbps?: number | undefined;
    }
  | { readonly kind: "flush"; readonly id: number }
  /** Drops the codec. Jobs with a smaller id that have not begun are answered, but not run. */
  | { readonly kind: "close"; readonly id: number };

export interface CodecResult {
  readonly id: number;
  readonly packets: readonly CodecPacket[];
  readonly busyUs: number;
  /** Why the job failed. */
  readonly error?: string;
}
