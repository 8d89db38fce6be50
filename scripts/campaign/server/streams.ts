/** Streams on the VP9 endpoint: START with any settings, rings and segment lists with anything in them, doorbells. */
import {
  type Arbitrary,
  array,
  boolean,
  constant,
  constantFrom,
  integer,
  nat,
  oneof,
  option,
  record,
  tuple,
} from "fast-check";
import { registers } from "../../../src/vp9/contract/registers.ts";
import {
  COMPLETION_BYTES,
  Opcode,
  SEGMENT_BYTES,
  Segment,
  SUBMISSION_BYTES,
  type Submission,
} from "../../../src/vp9/contract/rings.ts";
import { pack } from "../raw-client.ts";
import { mostly, word64, words32 } from "./numbers.ts";
import { RAM_BYTES, type Step, type Work } from "./work.ts";

/** Where things lie in the memory, from its start. */
const Place = { SQ: 0, CQ: 0x1_0000, LIST: 0x2_0000, OUTPUT: 0x3_0000, FRAME: 0x4_0000 } as const;
/** The memory's address for the device. */
const RAM_IOVA = 2 ** 32;
/** Of 64 times 48 pixels. */
const FRAME_BYTES = 4608;

type RegisterName = keyof typeof registers;
const writable = (Object.keys(registers) as RegisterName[]).filter((name) => registers[name].mode !== "ro");

export interface StreamOperation {
  readonly kind: "stream";
  readonly space: "host" | "window";
  /** Whether the server gets a descriptor of the memory, and must not ask for it by messages. */
  readonly share: boolean;
  readonly ringLog2: number;
  /** Registers that differ from a stream that works. */
  readonly settings: readonly (readonly [name: RegisterName, value: number])[];
  readonly entries: readonly Entry[];
  /** The segment list: offsets in the memory, or other addresses if negative. */
  readonly list: readonly (readonly [address: bigint, sizeBytes: number])[];
  readonly tails: readonly number[];
  readonly waitMs: number;
  /** How much of the memory is mapped; there is less than the most of it. */
  readonly mappedBytes: number;
  /** COMMAND's codes, written after the doorbells. */
  readonly commands: readonly number[];
}

/** Differences from a submission that works. */
export type Entry = Readonly<Partial<Record<keyof typeof Submission, bigint | undefined>>>;

/** A field mostly as it should be. */
const odd = (others: Arbitrary<bigint>) => mostly<bigint | undefined>(constant(undefined), others);
const word = words32.map(BigInt);
const addresses = oneof(
  nat(2 * RAM_BYTES).map((offset) => BigInt(RAM_IOVA + offset)),
  nat(RAM_BYTES).map(BigInt),
  word64,
);

const entries: Arbitrary<Entry> = record({
  OPCODE: odd(oneof(constant(BigInt(Opcode.FLUSH)), word)),
  FLAGS: odd(oneof(nat(8).map(BigInt), word)),
  SOURCE_BYTES: odd(word),
  SOURCE: odd(addresses),
  SEGMENTS: oneof(
    constant(undefined),
    option(oneof(nat(12).map(BigInt), constantFrom(8191n, 8192n, 8193n), word), { nil: undefined, freq: 1 }),
  ),
  OUTPUT_BYTES: odd(word),
  OUTPUT: odd(addresses),
  PTS: odd(word64),
  DURATION: odd(word),
  QUANTIZER: odd(word),
  BITRATE: odd(word),
});

export const streams: Arbitrary<StreamOperation> = record({
  kind: constant("stream"),
  space: constantFrom("host", "host", "window"),
  share: oneof({ weight: 3, arbitrary: constant(true) }, { weight: 1, arbitrary: boolean() }),
  ringLog2: integer({ min: 1, max: 6 }),
  settings: oneof(
    { weight: 3, arbitrary: constant([]) },
    {
      weight: 1,
      arbitrary: array(tuple(constantFrom(...writable), oneof(nat(100), words32)), { maxLength: 4 }),
    },
  ),
  entries: array(entries, { maxLength: 40, size: "max" }),
  list: array(
    tuple(
      oneof(
        nat(RAM_BYTES).map((offset) => BigInt(RAM_IOVA + offset)),
        addresses,
      ),
      oneof(constantFrom(0, 1, 2304, 4607, FRAME_BYTES), nat(4608), words32),
    ),
    { maxLength: 12, size: "max" },
  ),
  tails: array(oneof(nat(70), words32), { maxLength: 3 }),
  mappedBytes: mostly(constant(RAM_BYTES), constantFrom(2 * RAM_BYTES, 4096, 4095)),
  waitMs: oneof(constant(0), nat(5)),
  commands: array(oneof(nat(4), words32), { maxLength: 2 }),
});

/** A stream from the registers to its end. */
export function streamWork(stream: StreamOperation): Work {
  const { space, share, ringLog2, settings, tails, commands, waitMs, mappedBytes } = stream;
  const inHost = space === "host";
  const base = inHost ? RAM_IOVA : 0;
  const size = 64 | (48 << 16);
  const values: Partial<Record<RegisterName, number>> = {
    ...{ VISIBLE_SIZE: size, CODED_SIZE: size, FORMAT: 0, RATE_CONTROL: 0, THREADS: 1, RING_LOG2: ringLog2 },
    ...{ FPS_NUM: 30, FPS_DEN: 1, TIMEBASE_NUM: 1, TIMEBASE_DEN: 1000, SPACE: inHost ? 0 : 1 },
    ...{ SQ_LO: (base + Place.SQ) >>> 0, SQ_HI: Math.floor(base / 2 ** 32) },
    ...{ CQ_LO: (base + Place.CQ) >>> 0, CQ_HI: Math.floor(base / 2 ** 32), IRQ_ENABLE: 3 },
  };
  const register = (name: RegisterName, value: number): Step => ({
    region: 0,
    offset: registers[name].offset,
    bytes: pack("4", value),
  });
  const memory = (offset: number, bytes: Uint8Array): Step => ({
    region: inHost ? "memory" : 1,
    offset,
    bytes,
  });
  const { STOP, START } = registers.COMMAND.fields.CODE.values;
  return {
    iova: inHost ? RAM_IOVA : undefined,
    ...{ share, waitMs, mappedBytes },
    steps: [
      register("COMMAND", STOP),
      ...Object.entries(values).map(([name, value]) => register(name as RegisterName, value)),
      ...settings.map(([name, value]) => register(name, value)),
      memory(Place.CQ, new Uint8Array(COMPLETION_BYTES << ringLog2)),
      memory(Place.LIST, listOf(stream)),
      memory(Place.SQ, ringOf(stream, base)),
      register("COMMAND", START),
      register("SQ_TAIL", Math.min(stream.entries.length, 1 << ringLog2)),
      ...tails.map((tail) => register("SQ_TAIL", tail)),
      ...commands.map((code) => register("COMMAND", code)),
    ],
  };
}

function listOf({ list }: StreamOperation): Uint8Array {
  const view = new DataView(new ArrayBuffer(SEGMENT_BYTES * list.length));
  for (const [i, [address, sizeBytes]] of list.entries()) {
    view.setBigUint64(i * SEGMENT_BYTES + Segment.ADDRESS, address, true);
    view.setUint32(i * SEGMENT_BYTES + Segment.LENGTH, sizeBytes, true);
  }
  return new Uint8Array(view.buffer);
}

function ringOf({ entries, ringLog2 }: StreamOperation, base: number): Uint8Array {
  const slots = new Uint8Array(new ArrayBuffer(SUBMISSION_BYTES << ringLog2));
  for (const [i, entry] of entries.slice(0, 1 << ringLog2).entries()) {
    const one = pack(
      "444484488444",
      ...[i, entry.OPCODE ?? Opcode.ENCODE, entry.FLAGS ?? 0, entry.SOURCE_BYTES ?? FRAME_BYTES],
      entry.SOURCE ?? base + (entry.SEGMENTS ? Place.LIST : Place.FRAME),
      ...[entry.SEGMENTS ?? 0, entry.OUTPUT_BYTES ?? 64, entry.OUTPUT ?? base + Place.OUTPUT],
      ...[entry.PTS ?? i + 1, entry.DURATION ?? 1, entry.QUANTIZER ?? 0, entry.BITRATE ?? 0],
    );
    slots.set(one, i * SUBMISSION_BYTES);
  }
  return slots;
}
