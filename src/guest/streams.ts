/** A command's streams, as programs give them. */

/** Standard input. Bun.file(path).stream() is such a stream, and so is process.stdin. */
export type Input = string | Uint8Array | AsyncIterable<Uint8Array>;

/** Gets a command's output. The stream waits for the promise that it returns, so that calls never overlap. */
export type ByteSink = (bytes: Uint8Array) => void | Promise<void>;

/** A terminal that passes on every key, so that the guest's own terminal handles them. */
export interface Terminal {
  /** The keys. */
  readonly input: AsyncIterable<Uint8Array>;
  readonly write: ByteSink;
  /** Its name for what it can do, as in TERM. */
  readonly kind: string;
  size(): { readonly columns: number; readonly rows: number };
  /** Has `call` called when the size changes, until the returned function is called. */
  onResize(call: () => void): () => void;
}
