/**
 * vfio-user messages, for both sides of the protocol: docs/interop/vfio-user.rst in QEMU. All fields are
 * little-endian. Index and flag numbers are those of the kernel's VFIO: vfio.ts.
 */

import type { Fd } from "../os/fd.ts";
import { SEND_MS } from "../os/limits.ts";
import type { FdStream } from "../os/socket.ts";
import { MAX_DATA_BYTES, MAX_PAYLOAD_BYTES, PAYLOAD_MS } from "./limits.ts";

export const Command = {
  VERSION: 1,
  DMA_MAP: 2,
  DMA_UNMAP: 3,
  DEVICE_GET_INFO: 4,
  DEVICE_GET_REGION_INFO: 5,
  DEVICE_GET_IRQ_INFO: 7,
  DEVICE_SET_IRQS: 8,
  REGION_READ: 9,
  REGION_WRITE: 10,
  DMA_READ: 11,
  DMA_WRITE: 12,
  DEVICE_RESET: 13,
  REGION_WRITE_MULTI: 15,
} as const;

/** A command's name for messages. */
export function commandName(command: number): string {
  for (const [name, number] of Object.entries(Command)) if (number === command) return name;
  return `command ${command}`;
}

export const HEADER_BYTES = 16;
const REPLY = 1;
const TYPE_MASK = 0xf;
const NO_REPLY = 0x10;
const ERROR = 0x20;

export interface Header {
  readonly id: number;
  readonly command: number;
  readonly reply: boolean;
  /** The sender wants no reply. */
  readonly noReply: boolean;
  /** In a reply: why the request failed, or 0. */
  readonly errno: number;
}

/** A received message. The next receive overwrites `payload`; the caller owns the descriptors. */
export interface Message extends Header {
  readonly payload: DataView;
  readonly fds: Fd[];
}

const MAX_MESSAGE_BYTES = HEADER_BYTES + MAX_PAYLOAD_BYTES;

/** The peer broke the protocol; the connection is unusable from now on. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** Sends and receives whole messages over a socket. One buffer each way, allocated once. */
export class MessageStream {
  readonly stream: FdStream;
  readonly #in = new Uint8Array(new ArrayBuffer(MAX_MESSAGE_BYTES));
  readonly #inHeader = this.#in.subarray(0, HEADER_BYTES);
  readonly #inView = new DataView(this.#in.buffer);
  readonly #out = new Uint8Array(new ArrayBuffer(MAX_MESSAGE_BYTES));
  readonly #outView = new DataView(this.#out.buffer);

  constructor(stream: FdStream) {
    this.stream = stream;
  }

  /** The buffer to build the next message's payload in, zeroed. */
  payload(sizeBytes: number): DataView {
    if (sizeBytes > MAX_PAYLOAD_BYTES)
      throw new RangeError(`a payload of ${sizeBytes} bytes; at most ${MAX_PAYLOAD_BYTES} are sent`);
    const view = new DataView(this.#out.buffer, HEADER_BYTES, sizeBytes);
    this.#out.fill(0, HEADER_BYTES, HEADER_BYTES + sizeBytes);
    return view;
  }

  /** Sends the header and the first `payloadBytes` of the payload. Throws like FdStream.send. */
  send(header: Header, payloadBytes: number, fds: readonly number[] = [], timeoutMs = SEND_MS): void {
    const flags = (header.reply ? REPLY : 0) | (header.noReply ? NO_REPLY : 0) | (header.errno ? ERROR : 0);
    this.#outView.setUint16(0, header.id, true);
    this.#outView.setUint16(2, header.command, true);
    this.#outView.setUint32(4, HEADER_BYTES + payloadBytes, true);
    this.#outView.setUint32(8, flags, true);
    this.#outView.setUint32(12, header.errno, true);
    this.stream.send(this.#out.subarray(0, HEADER_BYTES + payloadBytes), fds, timeoutMs);
  }

  /**
   * Receives one whole message: exactly its header, then exactly its payload, so descriptors stay with their
   * message. Waits up to `timeoutMs` for the header and `restMs` for the payload, which follows at once: a
   * peer that stops in between is gone. `isExpected` is FdStream.receive's. Throws like FdStream.receive, or
   * ProtocolError if the announced size is impossible.
   */
  receive(timeoutMs: number, restMs = PAYLOAD_MS, isExpected = false): Message {
    const fds = this.stream.receive(this.#inHeader, timeoutMs, isExpected);
    const flags = this.#inView.getUint32(8, true);
    const sizeBytes = this.#inView.getUint32(4, true);
    const header = {
      id: this.#inView.getUint16(0, true),
      command: this.#inView.getUint16(2, true),
      reply: (flags & TYPE_MASK) === REPLY,
      noReply: (flags & NO_REPLY) !== 0,
      errno: flags & ERROR ? this.#inView.getUint32(12, true) || 5 : 0,
    };
    try {
      if (sizeBytes < HEADER_BYTES || sizeBytes > MAX_MESSAGE_BYTES) {
        throw new ProtocolError(
          `${commandName(header.command)} announces ${sizeBytes} bytes; 16 to ${MAX_MESSAGE_BYTES} are allowed`,
        );
      }
      if (sizeBytes > HEADER_BYTES) {
        fds.push(...this.stream.receive(this.#in.subarray(HEADER_BYTES, sizeBytes), restMs));
      }
    } catch (error) {
      for (const fd of fds) fd[Symbol.dispose]();
      throw error;
    }
    return { ...header, payload: new DataView(this.#in.buffer, HEADER_BYTES, sizeBytes - HEADER_BYTES), fds };
  }
}

/** The VERSION capabilities that vfiokit uses. */
export interface Capabilities {
  readonly max_msg_fds: number;
  readonly max_data_xfer_size: number;
}

/** Values of capabilities that the peer leaves out: docs/interop/vfio-user.rst, "VFIO_USER_VERSION". */
const DEFAULT_CAPABILITIES: Capabilities = { max_msg_fds: 1, max_data_xfer_size: MAX_DATA_BYTES };

/** Writes VERSION 0.0 with capabilities; returns the payload's size. */
export function putVersion(stream: MessageStream, capabilities: object): number {
  const json = new TextEncoder().encode(JSON.stringify({ capabilities }));
  const view = stream.payload(4 + json.length + 1);
  new Uint8Array(view.buffer, view.byteOffset + 4, json.length).set(json);
  return view.byteLength;
}

/** Parses VERSION's payload. Throws ProtocolError on a major version other than 0 or invalid capabilities. */
export function getVersion(payload: DataView): Capabilities {
  if (payload.byteLength < 4) throw new ProtocolError(`VERSION has a payload of ${payload.byteLength} bytes`);
  const major = payload.getUint16(0, true);
  if (major !== 0)
    throw new ProtocolError(`the peer speaks vfio-user ${major}.${payload.getUint16(2, true)}; this is 0.0`);
  const bytes = new Uint8Array(payload.buffer, payload.byteOffset + 4, payload.byteLength - 4);
  const end = bytes.indexOf(0);
  const json = new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  if (json === "") return DEFAULT_CAPABILITIES;
  let parsed: { capabilities?: Partial<Record<keyof Capabilities, unknown>> };
  try {
    parsed = JSON.parse(json);
  } catch {
    // Also a RangeError, for JSON that is nested too deeply.
    throw new ProtocolError(`VERSION carries no JSON: ${json.slice(0, 80).replace(/[^ -~]/g, "?")}`);
  }
  const capability = (name: keyof Capabilities, least: number) => {
    const value = parsed?.capabilities?.[name] ?? DEFAULT_CAPABILITIES[name];
    if (typeof value !== "number") throw new ProtocolError(`VERSION has ${name} that is not a number`);
    if (!Number.isSafeInteger(value) || value < least)
      throw new ProtocolError(`VERSION has ${name} = ${value}`);
    return value;
  };
  return {
    max_msg_fds: capability("max_msg_fds", 0),
    max_data_xfer_size: capability("max_data_xfer_size", 8),
  };
}
