/** Connections to QEMU's sockets. Their errors follow QEMU's end, which boot() knows. */
import { createConnection, type Socket } from "node:net";

export function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => resolve(socket));
    socket.on("error", reject);
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
