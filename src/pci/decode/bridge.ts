/** What a bridge says of the buses on both its sides. */

/** Addresses that a bridge passes on; disabled when the base lies above the limit. */
export interface DecodedWindow {
  readonly kind: "io" | "memory" | "prefetchable";
  readonly base: string;
  readonly limit: string;
  readonly addressBits: 16 | 32 | 64;
  readonly enabled: boolean;
}

export interface DecodedBridge {
  readonly primaryBus: number;
  readonly secondaryBus: number;
  readonly subordinateBus: number;
  readonly secondaryLatencyTimer: number;
  /** I/O, memory and prefetchable memory; of a CardBus bridge two of memory, then two of I/O. */
  readonly windows: readonly DecodedWindow[];
  /** Where a CardBus bridge's 16-bit interface has its I/O ports; undefined where nowhere. */
  readonly legacyModeBase?: number;
}
