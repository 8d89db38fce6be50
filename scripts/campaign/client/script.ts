/** What the client of the `client` campaign does with a device, as plain data, and how fast-check makes it up. */
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
} from "fast-check";
import type { InterruptKind } from "../../../src/device/device.ts";

/** One call of the library's. */
export type Call =
  | {
      readonly call: "read" | "write";
      readonly bar: number;
      readonly bits: 8 | 16 | 32 | 64;
      readonly offset: number;
    }
  | {
      readonly call: "copyIn" | "copyOut";
      readonly bar: number;
      readonly offset: number;
      readonly sizeBytes: number;
    }
  | { readonly call: "config"; readonly bits: 8 | 16 | 32; readonly offset: number; readonly write: boolean }
  | { readonly call: "allocate"; readonly sizeBytes: number; readonly addressBits: number | undefined }
  /** Memory that was allocated before: touches all of its pages, or gives it back. */
  | { readonly call: "touch" | "free"; readonly index: number }
  | { readonly call: "count" | "disable"; readonly kind: InterruptKind }
  | { readonly call: "enable"; readonly kind: InterruptKind; readonly count: number }
  | { readonly call: "take"; readonly index: number }
  | { readonly call: "wait" | "waitAsync"; readonly index: number; readonly ms: number }
  | { readonly call: "unmask" | "reset" | "close" }
  /** Lets the event loop turn. */
  | { readonly call: "sleep"; readonly ms: number };

/** What the client does after it has opened the device. In the end it closes it. */
export interface Script {
  readonly timeoutMs: number;
  readonly postWrites: boolean;
  readonly shareMemory: boolean;
  readonly calls: readonly Call[];
}

/** What came of a script. */
export interface Report {
  /** How many calls ended so: "returned", "DeviceError", "RangeError". */
  readonly outcomes: Readonly<Record<string, number>>;
  /** What was wrong: a call that threw something else, took too long, or something left behind. */
  readonly mistake?: string;
}

const kinds = constantFrom<InterruptKind>("intx", "msi", "msix", "err", "req");
const bars = oneof({ weight: 8, arbitrary: nat(2) }, { weight: 1, arbitrary: integer({ min: 3, max: 5 }) });
const offsets = oneof(
  { weight: 6, arbitrary: nat(1023).map((word) => word * 4) },
  {
    weight: 2,
    arbitrary: constantFrom(0x1000, 0x1ffc, 0x2000, 0xfff8, 0xfffc, 0x10000, 2 ** 31, 2 ** 32, 2 ** 52),
  },
  { weight: 1, arbitrary: nat(70_000) },
);
const copies = oneof(nat(64), nat(5000), constantFrom(65_536, 1 << 20, (1 << 20) + 8));

const calls: Arbitrary<Call> = oneof<{ weight: number; arbitrary: Arbitrary<Call> }[]>(
  {
    weight: 8,
    arbitrary: record({
      call: constantFrom("read", "write"),
      bar: bars,
      bits: constantFrom(8, 16, 32, 32, 64),
      offset: offsets,
    }),
  },
  {
    weight: 2,
    arbitrary: record({
      call: constantFrom("copyIn", "copyOut"),
      bar: bars,
      offset: nat(512).map((n) => n * 8),
      sizeBytes: copies,
    }),
  },
  {
    weight: 2,
    arbitrary: record({
      call: constant("config"),
      bits: constantFrom(8, 16, 32),
      offset: oneof(
        nat(1023).map((word) => word * 4),
        nat(5000),
      ),
      write: boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: record({
      call: constant("allocate"),
      sizeBytes: oneof(constantFrom(4096, 8192), integer({ min: 1, max: 70_000 })),
      addressBits: option(constantFrom(12, 20, 32, 64), { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: record({ call: constantFrom("touch", "free"), index: nat(3) }) },
  { weight: 2, arbitrary: record({ call: constantFrom("count", "disable"), kind: kinds }) },
  {
    weight: 3,
    arbitrary: record({
      call: constant("enable"),
      kind: kinds,
      count: oneof(integer({ min: 1, max: 8 }), integer({ min: 1, max: 40 })),
    }),
  },
  { weight: 1, arbitrary: record({ call: constant("take"), index: nat(8) }) },
  { weight: 2, arbitrary: record({ call: constantFrom("wait", "waitAsync"), index: nat(8), ms: nat(2) }) },
  { weight: 2, arbitrary: record({ call: constantFrom("unmask", "reset", "reset") }) },
  { weight: 1, arbitrary: record({ call: constant("close") }) },
  { weight: 1, arbitrary: record({ call: constant("sleep"), ms: nat(12) }) },
);

/** Scripts of up to ten calls. */
export const scripts: Arbitrary<Script> = record({
  timeoutMs: constantFrom(30, 30, 30, 100),
  postWrites: oneof({ weight: 3, arbitrary: constant(false) }, { weight: 1, arbitrary: boolean() }),
  shareMemory: oneof({ weight: 3, arbitrary: constant(true) }, { weight: 1, arbitrary: boolean() }),
  calls: array(calls, { maxLength: 10, size: "max" }),
});
