/** Extracts a command's output from a stream in which a token precedes and follows it. */

export interface MarkedStream {
  /** Takes the next bytes of the stream. Returns the command's bytes that are certain by now. */
  feed(chunk: Uint8Array): Uint8Array;
  /** Whether the first token has arrived. */
  readonly started: boolean;
  /** The text that has arrived after the second token; undefined before that. */
  readonly rest: string | undefined;
}

export function markedStream(token: string): MarkedStream {
  const mark = Buffer.from(token);
  let held = Buffer.alloc(0);
  let tokens = 0;

  /** Removes and returns the bytes before the next token; without one, those that can't be its beginning. */
  function take(): Uint8Array {
    const at = held.indexOf(mark);
    const end = at < 0 ? held.length - overlap(held, mark) : at;
    const taken = held.subarray(0, end);
    held = held.subarray(at < 0 ? end : end + mark.length);
    if (at >= 0) tokens++;
    return taken;
  }

  return {
    feed(chunk) {
      held = Buffer.concat([held, chunk]);
      if (tokens === 0) take();
      return tokens === 1 ? take() : new Uint8Array();
    },
    get started() {
      return tokens > 0;
    },
    get rest() {
      return tokens > 1 ? held.toString("latin1") : undefined;
    },
  };
}

/** The number of bytes at the end that may be the beginning of the mark. */
function overlap(bytes: Buffer, mark: Buffer): number {
  for (let length = Math.min(bytes.length, mark.length - 1); length > 0; length--)
    if (bytes.subarray(bytes.length - length).equals(mark.subarray(0, length))) return length;
  return 0;
}
