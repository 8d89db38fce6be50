/** One encoding on the model with faults, by the library. */
import { type EncodedChunk, openDevice, openEncoder, type PciDevice } from "../../src/index.ts";
import { openModel } from "../../src/model/in-process.ts";
import vp9 from "../../src/vp9/model/vp9.model.ts";

/** A fault as a case has it. */
export interface FaultChoice {
  readonly kind: string;
  /** The frame, from 1, or the probability, below 1. */
  readonly at: number;
  /** 0 for the kinds that need no time. */
  readonly forMs: number;
}

export interface FaultCase {
  readonly codec: "null" | "libvpx";
  readonly path: "dma" | "window";
  readonly inFlight: number;
  readonly frames: number;
  /** Frames that are key frames, from 0. */
  readonly keys: readonly number[];
  /** The model's place: a process that the encoder starts, and can start again; one that is started for it; this process. */
  readonly model: "own" | "apart" | "here";
  readonly recover: number;
  readonly faults: readonly FaultChoice[];
  readonly seed: number;
}

/** What came of it. */
export interface FaultRun {
  readonly chunks: readonly EncodedChunk[];
  readonly recoveries: readonly string[];
  readonly missedInterrupts: number;
  readonly error: Error | undefined;
}

const WIDTH = 64;
const HEIGHT = 64;
const FRAME_BYTES = (WIDTH * HEIGHT * 3) / 2;
const FRAME_US = 40_000;
/** Only a device that hangs takes so long, but a busy machine may, too: then a run recovers once more than it has to. */
const TIMEOUT_MS = 3000;
/** For an encoding without a fault, which must not fail on a busy machine either. */
const PATIENT_MS = 60_000;

/** Frame `index`: no two are alike. */
function frameOf(index: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(FRAME_BYTES));
  for (let i = 0; i < FRAME_BYTES; i++) bytes[i] = (i * 7 + index * 31 + (i >> 6) * index) & 0xff;
  return bytes;
}

const made: Uint8Array[] = [];

/** The time stamp of a frame in microseconds. */
export const timestampOf = (index: number): number => index * FRAME_US;

function specOf({ codec, faults, seed }: FaultCase): string {
  const list = faults.map(({ kind, at, forMs }) => `${kind}@${at}${forMs ? `=${forMs}` : ""}`);
  return `model:vp9?codec=${codec}&fault=${[...list, `seed=${seed}`].join(",")}`;
}

function openHere(spec: string): Promise<PciDevice> {
  const options = Object.fromEntries(new URLSearchParams(spec.slice(spec.indexOf("?"))));
  return openModel(vp9, { name: spec, options, log: () => {} });
}

/** Encodes the frames from `start` on; the first one is a key frame in any case. */
export async function encodeWithFaults(one: FaultCase, start = 0): Promise<FaultRun> {
  const spec = specOf(one);
  using opened =
    one.model === "own" ? undefined : one.model === "apart" ? openDevice(spec) : await openHere(spec);
  const chunks: EncodedChunk[] = [];
  using encoder = openEncoder({
    ...{ device: opened ?? spec, path: one.path, inFlight: one.inFlight, recover: one.recover },
    ...{ timeoutMs: one.faults.length > 0 ? TIMEOUT_MS : PATIENT_MS, recoverTimeoutMs: 10_000 },
    output: (chunk) => void chunks.push(chunk),
    error: () => {},
  });
  let error: Error | undefined;
  try {
    await encoder.configure({ width: WIDTH, height: HEIGHT, framerate: 25, bitrate: 100_000 });
    for (let i = start; i < one.frames; i++) {
      made[i] ??= frameOf(i);
      const frame = { data: made[i]!, timestamp: timestampOf(i) };
      await encoder.encode(frame, { keyFrame: one.keys.includes(i) });
    }
    await encoder.flush();
  } catch (thrown) {
    error = thrown instanceof Error ? thrown : new Error(String(thrown));
  }
  const { recoveries, missedInterrupts } = encoder.statistics;
  return { chunks, recoveries, missedInterrupts, error };
}
