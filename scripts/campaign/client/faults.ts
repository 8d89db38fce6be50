/** What the server of the `client` campaign does wrong, as plain data, and how fast-check makes it up. */
import {
  type Arbitrary,
  array,
  boolean,
  constant,
  constantFrom,
  integer,
  json,
  nat,
  oneof,
  option,
  record,
} from "fast-check";
import { Command } from "../../../src/protocol/vfio-user.ts";
import { type FileKind, fileKinds } from "../server/files.ts";
import { word64, words32 } from "../server/numbers.ts";
import { type Version, versions } from "../server/versions.ts";

/** A capability of a region's information. `next` is where the one after it is; undefined: behind it, 0 at the end. */
export interface Capability {
  readonly id: number;
  readonly version: number;
  readonly next: number | undefined;
  /** The number of areas that it announces; undefined: as many as there are. */
  readonly count: number | undefined;
  readonly areas: readonly (readonly [offset: bigint, sizeBytes: bigint])[];
}

export type Fault =
  /** The reply's header; `sizeBytes` is added to its size. */
  | {
      readonly kind: "header";
      readonly id: number;
      readonly command: number;
      readonly sizeBytes: number;
      readonly flags: number | undefined;
      readonly errno: number;
    }
  | { readonly kind: "refuse"; readonly errno: number }
  /** A word of the payload. */
  | { readonly kind: "word"; readonly offset: number; readonly value: number }
  /** So many bytes more, or less. */
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "version"; readonly version: Version }
  | {
      readonly kind: "region";
      readonly sizeBytes: bigint;
      readonly flags: number;
      readonly fileOffset: bigint;
      readonly argsz: number | undefined;
      readonly capabilityOffset: number | undefined;
      readonly capabilities: readonly Capability[];
      readonly file: FileKind;
    }
  | { readonly kind: "files"; readonly files: readonly FileKind[] }
  | { readonly kind: "too many files"; readonly count: number }
  | { readonly kind: "pace"; readonly pieceBytes: number; readonly waitMs: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "silence" }
  | { readonly kind: "twice" }
  /** The reply to the request before, again, in place of this one's; or before it. */
  | { readonly kind: "old"; readonly also: boolean }
  /** Requests of the server's before the reply. */
  | {
      readonly kind: "requests";
      readonly command: number;
      readonly address: bigint;
      readonly count: bigint;
      readonly dataBytes: number;
      readonly noReply: boolean;
      readonly times: number;
    }
  /** Requests without an end, and no reply. */
  | { readonly kind: "flood"; readonly ms: number; readonly noReply: boolean }
  | { readonly kind: "noise"; readonly bytes: readonly number[] }
  | { readonly kind: "leave"; readonly sentBytes: number }
  | { readonly kind: "truncate"; readonly sizeBytes: number }
  /** Signals the client's interrupts, in all, so often. */
  | { readonly kind: "signal"; readonly times: number };

/** A fault, and when: at the request of this number of all, or of this command's. */
export interface TimedFault {
  readonly command: number | undefined;
  readonly skip: number;
  readonly fault: Fault;
}

const maybe = <T>(value: Arbitrary<T>) => option(value, { nil: undefined });
const RAM = 2n ** 32n;
const sizes = oneof(constantFrom(0n, 4n, 256n, 4096n, 65_536n), word64);
const areas = array(
  record({
    0: oneof(constantFrom(0n, 4096n, 8192n, 61_440n), word64),
    1: oneof(constantFrom(4096n, 8192n, 65_536n), word64),
  }).map((area) => [area[0], area[1]] as const),
  { maxLength: 5, size: "max" },
);
const capabilities: Arbitrary<Capability> = record({
  id: constantFrom(1, 1, 1, 2, 0),
  version: constantFrom(1, 1, 0, 2),
  next: oneof(
    { weight: 3, arbitrary: constant(undefined) },
    { weight: 1, arbitrary: oneof(nat(80), words32) },
  ),
  count: oneof({ weight: 3, arbitrary: constant(undefined) }, { weight: 1, arbitrary: words32 }),
  areas,
});

const region: Arbitrary<Fault> = record({
  kind: constant("region"),
  sizeBytes: sizes,
  flags: oneof(constantFrom(7, 15, 15), words32),
  fileOffset: oneof(
    { weight: 3, arbitrary: constant(0n) },
    { weight: 1, arbitrary: oneof(constant(4096n), word64) },
  ),
  argsz: oneof({ weight: 3, arbitrary: constant(undefined) }, { weight: 1, arbitrary: words32 }),
  capabilityOffset: oneof({ weight: 4, arbitrary: constant(undefined) }, { weight: 1, arbitrary: words32 }),
  capabilities: array(capabilities, { maxLength: 3, size: "max" }),
  file: constantFrom<FileKind>("sealed", "sealed", ...fileKinds),
});
const header: Arbitrary<Fault> = record({
  kind: constant("header"),
  id: oneof(constant(0), constant(0), integer({ min: -3, max: 3 })),
  command: oneof(constant(0), constant(0), nat(20)),
  sizeBytes: oneof(
    constant(0),
    constant(0),
    integer({ min: -40, max: 40 }),
    constantFrom(2 ** 20, 2 ** 31, 2 ** 32 - 100),
  ),
  flags: maybe(oneof(nat(64), words32)),
  errno: oneof(constant(0), words32),
});
const requests: Arbitrary<Fault> = record({
  kind: constant("requests"),
  command: oneof(
    { weight: 5, arbitrary: constantFrom(Command.DMA_READ, Command.DMA_WRITE) },
    { weight: 1, arbitrary: nat(20) },
  ),
  address: oneof(
    nat(70_000).map((offset) => RAM + BigInt(offset)),
    constant(RAM),
    word64,
  ),
  count: oneof(nat(5000).map(BigInt), word64),
  dataBytes: oneof(constant(-1), nat(5000)),
  noReply: boolean(),
  times: oneof(
    { weight: 3, arbitrary: constant(1) },
    { weight: 1, arbitrary: integer({ min: 1, max: 400 }) },
  ),
});

const faults: Arbitrary<Fault> = oneof<{ weight: number; arbitrary: Arbitrary<Fault> }[]>(
  { weight: 12, arbitrary: header },
  { weight: 6, arbitrary: record({ kind: constant("refuse"), errno: oneof(nat(133), words32) }) },
  {
    weight: 10,
    arbitrary: record({ kind: constant("word"), offset: nat(8).map((n) => n * 4), value: words32 }),
  },
  {
    weight: 6,
    arbitrary: record({
      kind: constant("length"),
      bytes: oneof(integer({ min: -40, max: 40 }), constantFrom(65_536, 1 << 20)),
    }),
  },
  {
    weight: 6,
    arbitrary: record({ kind: constant("version"), version: oneof(versions, record({ json: json() })) }),
  },
  { weight: 20, arbitrary: region },
  {
    weight: 8,
    arbitrary: record({
      kind: constant("files"),
      files: array(constantFrom(...fileKinds), { minLength: 1, maxLength: 16 }),
    }),
  },
  {
    weight: 2,
    arbitrary: record({ kind: constant("too many files"), count: integer({ min: 17, max: 200 }) }),
  },
  {
    weight: 4,
    arbitrary: record({
      kind: constant("pace"),
      pieceBytes: constantFrom(1, 1, 3, 16),
      waitMs: constantFrom(0, 0, 0, 0, 1, 8),
    }),
  },
  { weight: 1, arbitrary: record({ kind: constant("wait"), ms: constantFrom(1, 5, 150) }) },
  { weight: 1, arbitrary: record({ kind: constant("silence") }) },
  { weight: 4, arbitrary: record({ kind: constant("twice") }) },
  { weight: 4, arbitrary: record({ kind: constant("old"), also: boolean() }) },
  { weight: 12, arbitrary: requests },
  {
    weight: 1,
    arbitrary: record({ kind: constant("noise"), bytes: array(nat(255), { minLength: 1, maxLength: 60 }) }),
  },
  { weight: 6, arbitrary: record({ kind: constant("leave"), sentBytes: oneof(constant(0), nat(60)) }) },
  { weight: 4, arbitrary: record({ kind: constant("truncate"), sizeBytes: constantFrom(0, 1, 4096) }) },
  { weight: 6, arbitrary: record({ kind: constant("signal"), times: oneof(nat(5), nat(500)) }) },
);
/** These take long, so they are rare. */
const floods: Arbitrary<Fault> = record({
  kind: constant("flood"),
  ms: constantFrom(400, 2500),
  noReply: boolean(),
});

const timedFaults: Arbitrary<TimedFault> = oneof(
  { weight: 30, arbitrary: record({ command: constant(undefined), skip: nat(40), fault: faults }) },
  {
    weight: 60,
    arbitrary: record({ command: constantFrom(...Object.values(Command)), skip: nat(4), fault: faults }),
  },
  {
    weight: 30,
    arbitrary: record({ command: constant(Command.DEVICE_GET_REGION_INFO), skip: nat(7), fault: region }),
  },
  {
    weight: 1,
    arbitrary: record({
      command: constantFrom(Command.REGION_READ, Command.REGION_WRITE),
      skip: nat(3),
      fault: floods,
    }),
  },
);

/** A region's file that the server then shortens: an access to a mapping of it would end the client. */
const pulledFiles: Arbitrary<TimedFault[]> = record({
  index: nat(2),
  file: constantFrom<FileKind>("loose", "growing", "sealed", "odd size"),
  sizeBytes: constantFrom(4096n, 65_536n),
  request: constantFrom(Command.REGION_READ, Command.REGION_WRITE),
}).map(({ index, file, sizeBytes, request }) => [
  {
    command: Command.DEVICE_GET_REGION_INFO,
    skip: index,
    fault: {
      ...{ kind: "region", sizeBytes, flags: 7, fileOffset: 0n, argsz: undefined, file },
      ...{ capabilityOffset: undefined, capabilities: [] },
    },
  },
  { command: request, skip: 0, fault: { kind: "truncate", sizeBytes: 0 } },
]);

/** What goes wrong in one session: up to four faults, or a file that is taken away. */
export const faultLists: Arbitrary<readonly TimedFault[]> = oneof(
  { weight: 12, arbitrary: array(timedFaults, { maxLength: 4, size: "max" }) },
  { weight: 1, arbitrary: pulledFiles },
);
