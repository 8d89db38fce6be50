/**
 * The packets of a file that may end anywhere, for campaigns: not the product's own readers, which are what a campaign
 * tests. src/media/ivf.ts and webm.ts say what the files are.
 */

/** What an IVF or a WebM holds. */
export interface HeldPackets {
  readonly packets: readonly Uint8Array[];
  /** Bytes after the last whole packet. */
  readonly cutBytes: number;
  /** An IVF's frame count. */
  readonly headerFrames?: number;
}

const IVF_HEADER = 32;
const IVF_FRAME_HEADER = 12;

/** Reads an IVF. Throws Error if it does not begin as one. */
export function ivfPackets(bytes: Buffer): HeldPackets & { readonly headerFrames: number } {
  if (bytes.length < IVF_HEADER || bytes.toString("latin1", 0, 4) !== "DKIF")
    throw new Error(`the output is no IVF: ${bytes.subarray(0, IVF_HEADER).toString("hex")}`);
  const packets: Uint8Array[] = [];
  let at = IVF_HEADER;
  while (at + IVF_FRAME_HEADER <= bytes.length) {
    const end = at + IVF_FRAME_HEADER + bytes.readUInt32LE(at);
    if (end > bytes.length) break;
    packets.push(bytes.subarray(at + IVF_FRAME_HEADER, end));
    at = end;
  }
  return { packets, cutBytes: bytes.length - at, headerFrames: bytes.readUInt32LE(24) };
}

/** Elements that are entered: EBML ids of Segment and Cluster (RFC 9559). */
const ENTERED = [0x18538067, 0x1f43b675];
const SIMPLE_BLOCK = 0xa3;
/** Track number, u16 time and flags before a SimpleBlock's frame. */
const BLOCK_HEADER = 4;

/** Reads a WebM of one track, whose Segment and Clusters may be of unknown size. Throws Error if it does not begin as one. */
export function webmPackets(bytes: Buffer): HeldPackets {
  if (bytes.length < 4 || bytes.readUInt32BE(0) !== 0x1a45dfa3)
    throw new Error(`the output is no WebM: ${bytes.subarray(0, IVF_HEADER).toString("hex")}`);
  const packets: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const idBytes = Math.clz32(bytes[at]!) - 23;
    const sizeAt = at + idBytes;
    const sizeBytes = sizeAt < bytes.length ? Math.clz32(bytes[sizeAt]!) - 23 : 1;
    const body = sizeAt + sizeBytes;
    if (body > bytes.length || idBytes > 4 || sizeBytes > 8) break;
    const id = bytes.readUIntBE(at, idBytes);
    if (ENTERED.includes(id)) {
      at = body;
      continue;
    }
    let size = bytes[sizeAt]! - (0x80 >> (sizeBytes - 1));
    for (let i = 1; i < sizeBytes; i++) size = size * 256 + bytes[sizeAt + i]!;
    if (body + size > bytes.length) break;
    if (id === SIMPLE_BLOCK) packets.push(bytes.subarray(body + BLOCK_HEADER, body + size));
    at = body + size;
  }
  return { packets, cutBytes: bytes.length - at };
}

/**
 * Throws Error unless `packets` are the first ones of `expected`.
 * @param what of a packet must be equal; by default all of it
 */
export function expectPrefix(
  packets: readonly Uint8Array[],
  expected: readonly Uint8Array[],
  what: (packet: Uint8Array) => Uint8Array = (packet) => packet,
): void {
  if (packets.length > expected.length)
    throw new Error(`the output has ${packets.length} packets, of an input of ${expected.length} frames`);
  const wrong = packets.findIndex(
    (packet, index) => !Buffer.from(what(packet)).equals(what(expected[index]!)),
  );
  if (wrong >= 0) {
    const hex = (bytes: Uint8Array) => Buffer.from(bytes.subarray(0, 32)).toString("hex");
    throw new Error(
      `packet ${wrong} is not that of a run without faults: ${hex(packets[wrong]!)}, not ${hex(expected[wrong]!)}`,
    );
  }
}
