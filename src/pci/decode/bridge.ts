/** A bridge's bus numbers, and the windows it forwards. */

/** A range of addresses that a bridge forwards; disabled if the base lies above the limit. */
export interface DecodedWindow {
  readonly kind: "io" | "memory" | "prefetchable";
  readonly base: string;
  readonly limit: string;
  readonly addressBits: 16 | 32 | 64;
  readonly enabled: boolean;
}

/** A bridge's buses and windows. */
export interface DecodedBridge {
  readonly primaryBus: number;
  readonly secondaryBus: number;
  readonly subordinateBus: number;
  readonly secondaryLatencyTimer: number;
  /** I/O, memory and prefetchable memory; for a CardBus bridge two memory windows, then two I/O windows. */
  readonly windows: readonly DecodedWindow[];
  /** I/O base of a CardBus bridge's 16-bit interface; undefined if it has none. */
  readonly legacyModeBase?: number;
}
