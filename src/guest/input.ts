/** Sends a command its standard input. */
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Input } from "./streams.ts";

/**
 * Sends all of it, no faster than the command reads, then end-of-file. Stops when the socket is closed.
 * @throws what reading it throws
 */
export async function sendInput(input: Input, socket: Socket): Promise<void> {
  const closed = once(socket, "close").then(() => undefined);
  const chunks = asChunks(input)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([chunks.next(), closed]);
      if (next === undefined) return;
      if (next.done) break;
      if (!socket.write(next.value)) await Promise.race([once(socket, "drain"), closed]);
    }
    socket.end();
  } finally {
    // Not awaited: a source that is waiting for data answers only when it has some.
    chunks.return?.().catch(() => {});
  }
}

function asChunks(input: Input): AsyncIterable<string | Uint8Array> {
  if (typeof input !== "string" && !(input instanceof Uint8Array)) return input;
  return (async function* () {
    yield input;
  })();
}
