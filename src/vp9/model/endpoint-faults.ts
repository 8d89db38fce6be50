/** Carries out the endpoint's injected faults: what it does to submissions and completions. */
import { lasting } from "../../model/common-faults.ts";
import type { ModelDevice } from "../../model/model-description.ts";
import type { registers } from "../contract/registers.ts";
import { CompletionStatus } from "../contract/rings.ts";
import type { CompletionEntry } from "./completion-entry.ts";

/** After these no frame completes. */
const ENDINGS = ["wedge", "ones", "die", "self-reset"];
/** "100 times slower": the codec's own time has passed already. */
const SLOWER = 99;

/** What a completion becomes. */
export interface Completed {
  /** The entries to write, in this order. */
  readonly entries: readonly CompletionEntry[];
  /** Whether an interrupt announces them. */
  readonly isAnnounced: boolean;
}

/** The faults of an endpoint between two resets. */
export class EndpointFaults {
  readonly #device: ModelDevice<typeof registers>;
  #dead = false;
  #isSlow = false;
  #flipsSubmission = false;
  /** Whether the endpoint takes submissions. */
  takesSubmissions = true;
  /** A completion that the next one overtakes. */
  #overtaken: CompletionEntry | undefined;

  constructor(device: ModelDevice<typeof registers>) {
    this.#device = device;
  }

  /** How long a frame's result is held back that took the codec so long. */
  takeDelayMs(busyUs: number): number {
    return Math.max(this.#device.takeDelayMs(), this.#isSlow ? (SLOWER * busyUs) / 1000 : 0);
  }

  /** A submission's bytes were read. */
  spoil(submission: Uint8Array): void {
    if (this.#flipsSubmission) flipBit(submission, bitOf(submission));
    this.#flipsSubmission = false;
  }

  /** A frame or a flush is about to complete. */
  complete(entry: CompletionEntry, isFrame: boolean): Completed {
    const struck = isFrame ? this.#device.strike() : undefined;
    const strikes = (kind: string) => struck?.has(kind) ?? false;
    const device = this.#device;
    for (const kind of ENDINGS) lasting(device, struck?.get(kind), (isOn) => (this.#dead = isOn));
    lasting(device, struck?.get("slow"), (isOn) => (this.#isSlow = isOn));
    lasting(device, struck?.get("full-queue"), (isOn) => (this.takesSubmissions = !isOn));
    if (strikes("flip-submission")) this.#flipsSubmission = true;
    if (this.#dead) return { entries: [], isAnnounced: false };
    const isAnnounced = !strikes("drop-interrupt");
    const [one = entry] = spoilers.filter(([kind]) => strikes(kind)).map(([, spoil]) => spoil(entry));
    if (strikes("swap") && !this.#overtaken) {
      this.#overtaken = one;
      return { entries: [], isAnnounced };
    }
    const entries = [one, ...(this.#overtaken ? [this.#overtaken] : []), ...(strikes("repeat") ? [one] : [])];
    this.#overtaken = undefined;
    return { entries, isAnnounced };
  }
}

/** Faults of a completion's contents. */
const spoilers: readonly [kind: string, spoil: (entry: CompletionEntry) => CompletionEntry][] = [
  ["corrupt", (entry) => ({ ...entry, tag: ~entry.tag })],
  ["wrong-length", (entry) => ({ ...entry, packetBytes: entry.packetBytes ^ 1 })],
  ["zero-length", (entry) => ({ ...entry, packetBytes: 0 })],
  [
    "codec-error",
    (entry) => ({ ...entry, status: CompletionStatus.CODEC_FAILED, flags: 0, packetBytes: 0, packet: [] }),
  ],
  ["flip-completion", (entry) => ({ ...entry, spoil: (bytes) => flipBit(bytes, bitOf(bytes)) })],
];

/** One of its bits, always the same one of the same bytes. */
const bitOf = (bytes: Uint8Array): number => Bun.hash.crc32(bytes) % (8 * bytes.byteLength);

function flipBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3]! ^= 1 << (bit & 7);
}
