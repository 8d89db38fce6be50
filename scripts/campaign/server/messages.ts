/** A client's messages as bytes, and what the server may answer. */
import { constants } from "node:os";
import { MAX_DATA_BYTES } from "../../../src/protocol/limits.ts";
import { Command, HEADER_BYTES } from "../../../src/protocol/vfio-user.ts";
import type { MessageOperation, Request } from "./operations.ts";

/** What becomes of a message: an answer, none, the end of the connection, or one of the first and the last. */
export type Fate = "answer" | "silence" | "end" | "answer or end";

/** A message that can be sent, whole. */
export interface Outgoing {
  readonly bytes: Uint8Array;
  readonly fds: readonly number[];
  readonly fate: Fate;
  readonly id: number;
  readonly command: number;
  /** Most bytes that the answer may have. */
  readonly answerBytes: number;
  /** For DMA_MAP: how much of the file that goes along may be mapped. */
  readonly mappableBytes?: number | undefined;
}

const REPLY = 1;
const TYPE_MASK = 0xf;
const NO_REPLY = 0x10;

/** The largest message that the server takes. */
const MOST_BYTES = HEADER_BYTES + 64 + MAX_DATA_BYTES;

/** The widths of the values in a command's payload. */
const layouts: Readonly<Record<number, readonly number[]>> = {
  [Command.DMA_MAP]: [4, 4, 8, 8, 8],
  [Command.DMA_UNMAP]: [4, 4, 8, 8],
  [Command.DEVICE_GET_INFO]: [4, 4, 4, 4],
  [Command.DEVICE_GET_REGION_INFO]: [4, 4, 4, 4, 8, 8],
  [Command.DEVICE_GET_IRQ_INFO]: [4, 4, 4, 4],
  [Command.DEVICE_SET_IRQS]: [4, 4, 4, 4, 4],
  [Command.REGION_READ]: [8, 4, 4],
  [Command.REGION_WRITE]: [8, 4, 4],
  [Command.REGION_WRITE_MULTI]: [8],
};

const { EINVAL, ENOTSUP, EEXIST, ENOSPC, EPERM, EACCES, ENODEV, ENOMEM } = constants.errno;
const refusals = new Set([EINVAL, ENOTSUP]);
/** What mmap(2) says is added. */
const mapRefusals = new Set([EINVAL, EEXIST, ENOSPC, EPERM, EACCES, ENODEV, ENOMEM]);

/** Sizes of the answers that always have the same. */
const answerBytes: Readonly<Record<number, number>> = {
  [Command.DMA_MAP]: 0,
  [Command.DMA_UNMAP]: 24,
  [Command.DEVICE_GET_INFO]: 16,
  [Command.DEVICE_GET_REGION_INFO]: 32,
  [Command.DEVICE_GET_IRQ_INFO]: 16,
  [Command.DEVICE_SET_IRQS]: 0,
  [Command.REGION_WRITE]: 16,
  [Command.DEVICE_RESET]: 0,
};
/** These must succeed whatever they say, if they are long enough. */
const alwaysTaken: readonly number[] = [Command.DEVICE_GET_INFO, Command.DEVICE_RESET];

/** A message of these bytes. `flags` and `errno` are the header's. */
export function messageOf(
  id: number,
  command: number,
  payload: Uint8Array,
  flags = 0,
  errno = 0,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(HEADER_BYTES + payload.byteLength));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id, true);
  view.setUint16(2, command, true);
  view.setUint32(4, bytes.byteLength, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, errno, true);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** The values, little-endian, and the data. */
function payloadOf({ command, values, dataBytes, fill }: Request, cutBytes: number): Uint8Array {
  const layout = layouts[command] ?? [];
  const fixedBytes = layout.reduce((sum, width) => sum + width, 0);
  const payload = new Uint8Array(new ArrayBuffer(Math.max(0, fixedBytes + dataBytes - cutBytes)));
  const whole = payload.byteLength < fixedBytes ? new Uint8Array(fixedBytes) : payload;
  const view = new DataView(whole.buffer);
  let at = 0;
  for (const [i, width] of layout.entries()) {
    put(view, at, width, values[i] ?? 0n);
    at += width;
  }
  if (whole === payload) payload.fill(fill, fixedBytes);
  else payload.set(whole.subarray(0, payload.byteLength));
  return payload;
}

function put(view: DataView, at: number, width: number, value: bigint): void {
  if (width === 8) view.setBigUint64(at, value, true);
  else view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
}

/** The message `times` times, each with its own id unless the header has one. */
export function* messagesOf(
  { request, header, cutBytes, times, field, step }: MessageOperation,
  fds: readonly number[],
  nextId: () => number,
  mappableBytes?: number,
): Generator<Outgoing> {
  const { command, values } = request;
  const template = messageOf(0, command, payloadOf(request, cutBytes), header.flags, header.errno);
  const layout = layouts[command] ?? [];
  const width = layout[field];
  const at = HEADER_BYTES + layout.slice(0, field).reduce((sum, bytes) => sum + bytes, 0);
  const steps = times > 1 && width !== undefined && at + width <= template.byteLength;
  const flags = header.flags ?? 0;
  const breaks = (flags & TYPE_MASK) === REPLY || template.byteLength > MOST_BYTES;
  const fate = breaks ? "end" : flags & NO_REPLY ? "silence" : "answer";
  for (let i = 0; i < times; i++) {
    const bytes = i === times - 1 ? template : template.slice();
    const view = new DataView(bytes.buffer);
    const id = header.id ?? nextId();
    view.setUint16(0, id, true);
    if (steps) put(view, at, width, BigInt.asUintN(64, (values[field] ?? 0n) + BigInt(i) * step));
    yield { bytes, fds, fate, id, command, answerBytes: mostAnswerBytes(bytes, command), mappableBytes };
  }
}

/** Most bytes of payload that an answer to this message may have. */
function mostAnswerBytes(bytes: Uint8Array, command: number): number {
  if (command !== Command.REGION_READ || bytes.byteLength < HEADER_BYTES + 16) return 32;
  const count = new DataView(bytes.buffer, bytes.byteOffset).getUint32(HEADER_BYTES + 12, true);
  return count > MAX_DATA_BYTES ? 0 : 16 + count;
}

/** What is wrong with an answer; undefined if nothing is. `errno` is the header's, 0 without its error flag. */
export function mistakeOf(
  sent: Outgoing,
  errno: number,
  payload: Uint8Array,
  fds: number,
): string | undefined {
  const { command, bytes } = sent;
  if (errno !== 0) {
    if (!(command === Command.DMA_MAP ? mapRefusals : refusals).has(errno)) return `it has errno ${errno}`;
    if (payload.byteLength > 0) return `it refuses with ${payload.byteLength} bytes of payload`;
    if (fds > 0) return `it refuses with ${fds} descriptors`;
    const isWhole = bytes.byteLength - HEADER_BYTES >= (answerBytes[command] ?? 0);
    return isWhole && alwaysTaken.includes(command) ? `it refuses with errno ${errno}` : undefined;
  }
  if (command === Command.VERSION) return versionMistake(payload);
  if (command === Command.REGION_READ) {
    if (payload.byteLength !== sent.answerBytes) return `it has ${payload.byteLength} bytes of payload`;
    return sameHead(sent, payload, 16);
  }
  const expected = answerBytes[command];
  if (expected === undefined) return "it accepts a command that there is not";
  if (payload.byteLength !== expected)
    return `it has ${payload.byteLength} bytes of payload, not ${expected}`;
  if (fds > (command === Command.DEVICE_GET_REGION_INFO ? 1 : 0)) return `it has ${fds} descriptors`;
  if (command === Command.DMA_MAP) return mapMistake(sent);
  return command === Command.REGION_WRITE ? sameHead(sent, payload, 16) : undefined;
}

/** What is wrong with accepting a mapping. */
function mapMistake({ bytes, mappableBytes = Number.POSITIVE_INFINITY }: Outgoing): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + HEADER_BYTES);
  const [offset, iova, sizeBytes] = [8, 16, 24].map((at) => view.getBigUint64(at, true)) as [
    bigint,
    bigint,
    bigint,
  ];
  const isInPages =
    (iova | sizeBytes) % 4096n === 0n &&
    (mappableBytes === Number.POSITIVE_INFINITY || offset % 4096n === 0n);
  if (!isInPages || sizeBytes === 0n || iova + sizeBytes > 2n ** 53n)
    return `it accepts ${sizeBytes} bytes at ${iova}`;
  return Number(offset + sizeBytes) > mappableBytes
    ? `it accepts ${sizeBytes} bytes at ${offset} of a file of which ${mappableBytes} can be mapped`
    : undefined;
}

function sameHead({ bytes }: Outgoing, payload: Uint8Array, sizeBytes: number): string | undefined {
  const head = bytes.subarray(HEADER_BYTES, HEADER_BYTES + sizeBytes);
  return Buffer.compare(head, payload.subarray(0, sizeBytes)) === 0
    ? undefined
    : "it does not repeat what was asked";
}

function versionMistake(payload: Uint8Array): string | undefined {
  if (payload.byteLength < 5 || payload.at(-1) !== 0) return "it has no text";
  try {
    JSON.parse(new TextDecoder().decode(payload.subarray(4, -1)));
    return undefined;
  } catch (error) {
    return `it has no JSON: ${(error as Error).message}`;
  }
}
