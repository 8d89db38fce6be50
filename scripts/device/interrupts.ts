/** Counts a device's interrupts, and measures the latency from trigger to waiter. */
import type { Interrupt, InterruptKind, PciDevice } from "../../src/device/device.ts";
import { interrupted } from "../cli/interrupt.ts";
import { word } from "../cli/number.ts";
import { UsageError } from "../cli/usage-error.ts";
import { checkPlace, openWords, type Place, parsePlace } from "./place.ts";

/** The most capable kind first. */
export const kinds: readonly InterruptKind[] = ["msix", "msi", "intx", "err", "req"];
/** As many as a person can follow. */
const MOST_WATCHED = 16;
const WRITE_BITS = 32;
/** How soon a waiter notices Ctrl-C, or that the others are done. */
const SLICE_MS = 100;

/** A 32-bit write that triggers or acknowledges an interrupt. */
interface Write {
  readonly place: Place;
  readonly value: bigint;
}

/** `BAR:OFFSET=VALUE`, or several with commas. Throws UsageError. */
export function parseWrites(option: string, text: string | undefined): readonly Write[] {
  if (text === undefined) return [];
  return text.split(",").map((part) => {
    const [where, value, ...rest] = part.split("=");
    if (!where || !value || rest.length > 0)
      throw new UsageError(`${option} ${part}: it must be BAR:OFFSET=VALUE, such as 0:0x60=1`);
    const place = parsePlace(where);
    checkPlace(place, WRITE_BITS, 1);
    return { place, value: word(option, value, WRITE_BITS) };
  });
}

/** Prepares the writes. Throws Error if the device does not have their places. */
export function openWrites(device: PciDevice, writes: readonly Write[]): (() => void)[] {
  return writes.map(({ place, value }) => {
    const words = openWords(device, place, WRITE_BITS, 1);
    return () => words.write(0, value);
  });
}

/** Enabled vectors; dispose disables them. */
export interface Armed extends Disposable {
  readonly kind: InterruptKind;
  readonly watched: readonly { readonly vector: number; readonly interrupt: Interrupt }[];
}

/**
 * Enables one vector, or the first ones. The default kind is the best that the device has. Throws Error,
 * DeviceError.
 */
export function arm(device: PciDevice, wanted: InterruptKind | undefined, vector: number | undefined): Armed {
  const counts = kinds.map((kind) => ({ kind, count: device.interruptCount(kind) }));
  const best = counts.find(({ kind, count }) => count > 0 && kind !== "err" && kind !== "req");
  const kind = wanted ?? best?.kind ?? "intx";
  const count = counts.find((entry) => entry.kind === kind)!.count;
  // If there are no vectors, the backend knows why and what to do.
  if (count <= (vector ?? 0) && counts.some(({ count }) => count > 0)) {
    const missing = vector === undefined ? kind : `vector ${vector} of ${kind}`;
    const present = counts.map(({ kind, count }) => `${count} ${kind}`).join(", ");
    throw new Error(`${device.spec} has no ${missing}; its vectors are ${present} (${device.reachedBy})`);
  }
  const enabled = device.enableInterrupts(
    kind,
    vector === undefined ? Math.max(1, Math.min(count, MOST_WATCHED)) : vector + 1,
  );
  const all = enabled.map((interrupt, vector) => ({ vector, interrupt }));
  return {
    kind,
    watched: vector === undefined ? all : all.slice(vector),
    [Symbol.dispose]: () => {
      try {
        device.disableInterrupts(kind);
      } finally {
        for (const interrupt of enabled) interrupt[Symbol.dispose]();
      }
    },
  };
}

/** The interrupts of one vector. */
export interface Seen {
  readonly vector: number;
  count: number;
  /** Times when waits returned, in milliseconds; one return may bring several interrupts. */
  readonly timesMs: number[];
}

/**
 * Counts on all vectors until their sum reaches `most`, the time is up, or Ctrl-C. Calls `handle` after each
 * return.
 */
export async function countInterrupts(
  { watched }: Armed,
  most: number,
  timeoutMs: number,
  handle: () => void,
): Promise<Seen[]> {
  const deadline = performance.now() + timeoutMs;
  const seen = watched.map(({ vector }): Seen => ({ vector, count: 0, timesMs: [] }));
  const sum = () => seen.reduce((total, { count }) => total + count, 0);
  const watch = async (interrupt: Interrupt, counted: Seen) => {
    while (sum() < most && !interrupted.aborted) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return;
      const count = await interrupt.waitAsync(Math.min(leftMs, SLICE_MS));
      if (count === 0) continue;
      counted.count += count;
      counted.timesMs.push(performance.now());
      handle();
    }
  };
  await Promise.all(watched.map(({ interrupt }, i) => watch(interrupt, seen[i]!)));
  return seen;
}

/**
 * For each round, microseconds from before `trigger` to the return of the wait. Fewer if an interrupt did not
 * arrive in time, or after Ctrl-C.
 */
export async function measureLatency(
  { watched }: Armed,
  rounds: number,
  timeoutMs: number,
  prepare: () => void,
  trigger: () => void,
  handle: () => void,
): Promise<number[]> {
  const { interrupt } = watched[0]!;
  const latenciesUs: number[] = [];
  while (latenciesUs.length < rounds) {
    // Lets Ctrl-C in.
    await Bun.sleep(0);
    if (interrupted.aborted) break;
    prepare();
    interrupt.take();
    const startMs = performance.now();
    trigger();
    let count = 0;
    let endMs = startMs;
    while (count === 0 && endMs - startMs < timeoutMs && !interrupted.aborted) {
      count = interrupt.wait(Math.min(SLICE_MS, timeoutMs));
      endMs = performance.now();
      if (count === 0) await Bun.sleep(0);
    }
    if (count === 0) break;
    latenciesUs.push((endMs - startMs) * 1000);
    handle();
  }
  return latenciesUs;
}

export interface Figures {
  readonly median: number;
  readonly p99: number;
  readonly least: number;
  readonly most: number;
}

/** Undefined without values. A quantile is the smallest value that this share of them do not exceed. */
export function figuresOf(values: readonly number[]): Figures | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const quantile = (part: number) => sorted[Math.ceil(part * sorted.length) - 1]!;
  if (sorted.length === 0) return undefined;
  return { median: quantile(0.5), p99: quantile(0.99), least: sorted[0]!, most: sorted.at(-1)! };
}

/** Times between successive returns. */
export function between(timesMs: readonly number[]): number[] {
  return timesMs.slice(1).map((time, i) => time - timesMs[i]!);
}
