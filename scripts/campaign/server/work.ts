/** The memory of a session's own, which it fills in for devices that read it. */

/** Its size. */
export const RAM_BYTES = 1 << 20;

/** What a client does for one piece of a device's work, in order. */
export interface Work {
  /** The memory's address for the device; undefined if the device does not reach it. */
  readonly iova: number | undefined;
  /** Whether the server gets a descriptor of the memory, and need not ask for it by messages. */
  readonly share: boolean;
  /** How much of the memory is mapped; more than there is must be refused. RAM_BYTES if absent. */
  readonly mappedBytes?: number;
  readonly steps: readonly Step[];
  /** How long the device may then work before the client goes on. */
  readonly waitMs?: number;
}

/** A write to a region, or to the memory. */
export type Step =
  | { readonly region: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly region: "memory"; readonly offset: number; readonly bytes: Uint8Array };
