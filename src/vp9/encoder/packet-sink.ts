/** Writes an encoding's packets, in order, to a writer that is opened late. */
import type { PacketWriter } from "../../media/packet.ts";
import type { EncodedChunk } from "./options.ts";

export class PacketSink {
  readonly #onWritten: (chunk: EncodedChunk) => void;
  readonly #onError: (error: unknown) => void;
  #writer: PacketWriter | undefined;
  /** The writes so far, one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #failed = false;

  /** `onWritten` is called with each chunk written, `onError` once with what the writer throws. */
  constructor(onWritten: (chunk: EncodedChunk) => void, onError: (error: unknown) => void) {
    this.#onWritten = onWritten;
    this.#onError = onError;
  }

  get isOpen(): boolean {
    return this.#writer !== undefined;
  }

  open(writer: PacketWriter): void {
    this.#writer = writer;
  }

  /** Writes a chunk after those before it; drops it if there is no writer, or the writer has failed. */
  take(chunk: EncodedChunk): void {
    const writer = this.#writer;
    if (!writer || this.#failed) return;
    const packet = { ...chunk, timestampUs: chunk.timestamp, durationUs: chunk.duration };
    this.#writing = this.#writing
      .then(async () => {
        if (this.#failed) return; // a later packet would leave a hole
        await writer.write(packet);
        this.#onWritten(chunk);
      })
      .catch((error) => this.fail(error));
  }

  /** Reports what opening the writer threw, or the writer itself. */
  fail(error: unknown): void {
    if (!this.#failed) this.#onError(error);
    this.#failed = true;
  }

  /** Resolves when every chunk so far is written, or failed. */
  drain(): Promise<void> {
    return this.#writing;
  }

  /** Finishes the file, also after a failure. */
  async close(): Promise<void> {
    try {
      await this.#writer?.close();
    } catch (error) {
      this.fail(error);
    }
  }
}
