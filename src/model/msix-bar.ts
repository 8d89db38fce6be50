/**
 * The BAR with a function's MSI-X table and its pending bits, PCIe 6.0, section 7.7.2. It only stores what software writes: which
 * vectors are delivered is decided by SET_IRQS, as in VFIO, where the kernel or QEMU has the table itself.
 */
import type { RegisterBar } from "./device-model.ts";

const ENTRY_BYTES = 16;
const VECTOR_CONTROL = 12;
const MASKED = 1;

/** Where the pending bits begin, and how large the BAR is. */
export function msixLayout(vectors: number): { readonly pendingOffset: number; readonly sizeBytes: number } {
  const tableBytes = Math.max(2048, 2 ** Math.ceil(Math.log2(vectors * ENTRY_BYTES)));
  return { pendingOffset: tableBytes, sizeBytes: 2 * tableBytes };
}

export class MsixBar implements RegisterBar {
  readonly kind = "registers";
  readonly sizeBytes: number;
  readonly #tableBytes: number;
  readonly #bytes: Uint8Array;

  constructor(vectors: number) {
    this.sizeBytes = msixLayout(vectors).sizeBytes;
    this.#tableBytes = vectors * ENTRY_BYTES;
    this.#bytes = new Uint8Array(new ArrayBuffer(this.sizeBytes));
    this.reset();
  }

  /** Every vector is masked at power-on. */
  reset(): void {
    this.#bytes.fill(0);
    for (let at = VECTOR_CONTROL; at < this.#tableBytes; at += ENTRY_BYTES) this.#bytes[at] = MASKED;
  }

  read(offset: number, to: Uint8Array): void {
    to.set(this.#bytes.subarray(offset, offset + to.byteLength));
  }

  write(offset: number, from: Uint8Array): void {
    const room = Math.max(0, this.#tableBytes - offset);
    this.#bytes.set(from.subarray(0, room), Math.min(offset, this.#tableBytes));
  }
}
