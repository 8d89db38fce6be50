/** Bytes of configuration space: an array of them, or a device that is read on demand. */
export interface Octets {
  readonly byteLength: number;
  at(offset: number): number | undefined;
}

/**
 * Configuration space as one capability sees it. The bytes are untrusted: reads beyond them give zeros, and a
 * caller that must know checks `has` first. All registers are little-endian.
 */
export interface Scope {
  /** Where the capability starts in configuration space. */
  readonly base: number;
  readonly vendor: number;
  readonly device: number;
  /** 0 endpoint, 1 bridge, 2 CardBus bridge. */
  readonly headerType: number;
  /** Device/Port Type of the PCI Express capability (PortType); undefined if none was found so far. */
  readonly portType: number | undefined;
  readonly hasMemoryBar: boolean;
  /** Whether these bytes, counted from the capability's start, are available. */
  has(offset: number, sizeBytes: number): boolean;
  /** An unsigned register of 1, 2 or 4 bytes, `offset` from the capability's start. */
  read(offset: number, sizeBytes: 1 | 2 | 4): number;
  read64(offset: number): bigint;
  /** Bits `low` to `high` of the 32-bit register at `offset`. */
  bits(offset: number, low: number, high?: number): number;
}

/** Facts from a function's header and earlier capabilities, for later ones. */
export type ScopeFacts = Pick<Scope, "vendor" | "device" | "headerType" | "portType" | "hasMemoryBar">;

export function scopeAt(bytes: Octets, base: number, facts: ScopeFacts): Scope {
  const has = (offset: number, sizeBytes: number) =>
    offset >= 0 && base + offset + sizeBytes <= bytes.byteLength;
  const byte = (offset: number) => (has(offset, 1) ? bytes.at(base + offset)! : 0);
  const read = (offset: number, sizeBytes: 1 | 2 | 4) => {
    let value = 0;
    for (let i = sizeBytes - 1; i >= 0; i--) value = value * 256 + byte(offset + i);
    return value;
  };
  return {
    ...facts,
    base,
    has,
    read,
    read64: (offset) => (BigInt(read(offset + 4, 4)) << 32n) | BigInt(read(offset, 4)),
    bits: (offset, low, high = low) => Math.floor(read(offset, 4) / 2 ** low) % 2 ** (high - low + 1),
  };
}
