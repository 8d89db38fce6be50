/** Whole vfio-user messages as raw bytes, and what the descriptors that come with them are. */
import { fstatSync, readlinkSync } from "node:fs";
import type { Fd } from "../../../src/os/fd.ts";
import { Disconnected, type FdStream } from "../../../src/os/socket.ts";
import { commandName, HEADER_BYTES } from "../../../src/protocol/vfio-user.ts";

export interface RawMessage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly fds: Fd[];
}

/** The next message, or undefined where the peer closed the connection. */
export function receiveRaw(stream: FdStream, timeoutMs: number): RawMessage | undefined {
  const header = new Uint8Array(HEADER_BYTES);
  try {
    const fds = stream.receive(header, timeoutMs);
    const bytes = new Uint8Array(new DataView(header.buffer).getUint32(4, true));
    bytes.set(header);
    if (bytes.length > HEADER_BYTES) fds.push(...stream.receive(bytes.subarray(HEADER_BYTES), timeoutMs));
    return { bytes, fds };
  } catch (error) {
    if (error instanceof Disconnected) return undefined;
    throw error;
  }
}

/** The fields of a message's header. */
export function headerOf(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint32(8, true);
  return {
    id: view.getUint16(0, true),
    command: view.getUint16(2, true),
    flags,
    reply: (flags & 0xf) === 1,
    posted: (flags & 0x10) !== 0,
    errno: flags & 0x20 ? view.getUint32(12, true) : 0,
  };
}

/** A message in words, e.g. "DEVICE_RESET", "posted REGION_WRITE", "reply to VERSION", "error reply to DMA_MAP". */
export function describeMessage(bytes: Uint8Array): string {
  const { command, reply, posted, errno } = headerOf(bytes);
  const name = commandName(command);
  if (reply) return errno ? `error reply to ${name}` : `reply to ${name}`;
  return posted ? `posted ${name}` : name;
}

/** What a descriptor is, as it can be told from outside: "eventfd", "memfd of 4096 bytes", "file of 12288 bytes". */
export function describeFd(fd: Fd): string {
  const target = readlinkSync(`/proc/self/fd/${fd.number}`);
  if (target.startsWith("anon_inode:")) return target.slice("anon_inode:".length).replace(/^\[(.*)\]$/, "$1");
  const kind = target.startsWith("/memfd:") ? "memfd" : "file";
  return `${kind} of ${fstatSync(fd.number).size} bytes`;
}
