/** Texts on a socket between the campaign and its client: u32 length, then UTF-8. */
import { Disconnected, type FdStream } from "../../../src/os/socket.ts";

export function sendText(stream: FdStream, text: string): void {
  const bytes = new TextEncoder().encode(text);
  const whole = new Uint8Array(new ArrayBuffer(4 + bytes.byteLength));
  new DataView(whole.buffer).setUint32(0, bytes.byteLength, true);
  whole.set(bytes, 4);
  stream.send(whole);
}

/** Undefined if the other side has left. */
export function receiveText(stream: FdStream, timeoutMs: number): string | undefined {
  const length = new Uint8Array(new ArrayBuffer(4));
  try {
    stream.receive(length, timeoutMs);
    const bytes = new Uint8Array(new ArrayBuffer(new DataView(length.buffer).getUint32(0, true)));
    if (bytes.byteLength > 0) stream.receive(bytes, timeoutMs);
    return new TextDecoder().decode(bytes);
  } catch (error) {
    if (error instanceof Disconnected) return undefined;
    throw error;
  }
}
