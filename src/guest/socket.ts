/** Connections to QEMU's sockets. Their errors follow QEMU's end, which boot() knows. */
import { createConnection, type Socket } from "node:net";
import { MAX_LINE_CHARACTERS } from "./limits.ts";

export function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => resolve(socket));
    socket.on("error", reject);
  });
}

/** Calls `take` with each line that a socket receives, unless it is too long: a guest may send anything. */
export function onLines(socket: Socket, take: (line: string) => void): void {
  const decoder = new TextDecoder();
  let rest = "";
  let isTooLong = false;
  socket.on("data", (bytes: Buffer) => {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (!isTooLong && line.length <= MAX_LINE_CHARACTERS) take(line);
      isTooLong = false;
    }
    if (rest.length <= MAX_LINE_CHARACTERS) return;
    isTooLong = true;
    rest = "";
  });
}

/** A socket's data; an error is its end. */
export async function* received(socket: Socket): AsyncGenerator<Uint8Array> {
  try {
    yield* socket as AsyncIterable<Uint8Array>;
  } catch {
    // It was closed here, or QEMU is gone.
  }
}
