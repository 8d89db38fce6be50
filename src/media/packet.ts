/** One coded frame. `timestampUs` and `durationUs` are in microseconds from the start of the stream. */
export interface Packet {
  readonly data: Uint8Array;
  readonly type: "key" | "delta";
  readonly timestampUs: number;
  readonly durationUs: number;
}

/**
 * Writes packets into a container, in decode order. Await each call before the next one: `data` may be reused
 * after it.
 *
 * If a write fails, the file is completed with the packets written before, and closed. That call and every
 * later write then throw a MediaError with the errno as its `code`.
 */
export interface PacketWriter extends AsyncDisposable {
  /** Adds one packet. Throws MediaError when it can't be written. */
  write(packet: Packet): void | Promise<void>;
  /** Completes the file. Harmless when repeated, or after a failed write. Throws MediaError when that fails. */
  close(): Promise<void>;
  /** Bytes in the output so far, headers included. */
  readonly bytes: number;
}
