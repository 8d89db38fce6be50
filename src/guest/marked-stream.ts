/** What a command wrote, out of a stream in which a token stands before it and after it. */

export interface MarkedStream {
  /** Takes the next bytes of the stream; returns those of the command among them that are certain by now. */
  feed(chunk: Uint8Array): Uint8Array;
  /** Whether the first token has come. */
  readonly started: boolean;
  /** What has come after the second token, as text; undefined before that. */
  readonly rest: string | undefined;
}

export function markedStream(token: string): MarkedStream {
  const mark = Buffer.from(token);
  let held = Buffer.alloc(0);
  let tokens = 0;

  /** Removes and returns what stands before the next token, or as much of it as can't be the token's beginning. */
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

/** How many bytes at the end may be the beginning of the mark. */
function overlap(bytes: Buffer, mark: Buffer): number {
  for (let length = Math.min(bytes.length, mark.length - 1); length > 0; length--)
    if (bytes.subarray(bytes.length - length).equals(mark.subarray(0, length))) return length;
  return 0;
}
