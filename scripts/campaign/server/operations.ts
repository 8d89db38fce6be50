/** What a client of the `server` campaign does in a session, as plain data, and how fast-check makes it up. */
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
import { Config } from "../../../src/pci/config-offsets.ts";
import { IrqIndex, IrqSet, RegionIndex } from "../../../src/protocol/vfio.ts";
import { Command } from "../../../src/protocol/vfio-user.ts";
import { type EduOperation, eduCopies } from "./edu.ts";
import { type FileKind, fileKinds } from "./files.ts";
import { type ModelName, modelNames } from "./models.ts";
import { mostly, offsets64, sizes64, word32, word64, words32 } from "./numbers.ts";
import { type NvmeOperation, nvmeCommands } from "./nvme.ts";
import { type StreamOperation, streams } from "./streams.ts";
import { type Version, versions } from "./versions.ts";

/** A request's payload: `values` in the layout of its command, then so many bytes of `fill`. */
export interface Request {
  readonly command: number;
  readonly values: readonly bigint[];
  readonly dataBytes: number;
  readonly fill: number;
}

/** Header fields that differ from a plain request's. */
export interface OddHeader {
  readonly id?: number | undefined;
  readonly flags?: number | undefined;
  readonly errno?: number | undefined;
}

export interface MessageOperation {
  readonly kind: "message";
  readonly request: Request;
  readonly header: OddHeader;
  /** Bytes that are missing at the end, or too many if negative. */
  readonly cutBytes: number;
  readonly files: readonly FileKind[];
  /** How often it is sent, and what is added to value `field` each time. */
  readonly times: number;
  readonly field: number;
  readonly step: bigint;
}

export type Operation =
  | MessageOperation
  | StreamOperation
  | EduOperation
  | NvmeOperation
  | { readonly kind: "version"; readonly version: Version }
  /** Changes the size of a file that may have been sent. */
  | { readonly kind: "resize"; readonly file: "loose" | "growing"; readonly sizeBytes: number }
  | { readonly kind: "pause"; readonly ms: number }
  /** Another client connects, says nothing or half of something, and leaves at the session's end. */
  | { readonly kind: "bystander"; readonly bytes: number };

/** How a session ends. */
export type Ending =
  | { readonly kind: "close" }
  /** Without receiving what the server still sends. */
  | { readonly kind: "leave"; readonly message: MessageOperation }
  /** In the middle of a message. */
  | { readonly kind: "half"; readonly message: MessageOperation; readonly sentBytes: number }
  /** With a message that says it has another size. */
  | { readonly kind: "size"; readonly message: MessageOperation; readonly sizeBytes: number }
  | { readonly kind: "noise"; readonly bytes: readonly number[] }
  /** With more descriptors than a message may have. */
  | { readonly kind: "descriptors"; readonly count: number };

/** How the client answers the server's own requests. The last answer also stands for all further ones. */
export const answers = ["serve", "refuse", "short", "long", "id", "command", "leave"] as const;
export type Answer = (typeof answers)[number];

export interface Session {
  readonly model: ModelName;
  /** The first message, if there is one. */
  readonly version: Version | undefined;
  readonly operations: readonly Operation[];
  readonly answers: readonly Answer[];
  /** All is sent in pieces of so many bytes. */
  readonly pieceBytes: number | undefined;
  readonly ending: Ending;
}

const fixed = (value: number) => mostly(constant(BigInt(value)), word32);

const request = (
  command: number,
  values: readonly Arbitrary<bigint>[],
  dataBytes: Arbitrary<number> = constant(0),
): Arbitrary<Request> =>
  record({ command: constant(command), values: tuple(...values), dataBytes, fill: nat(255) });

const regions = mostly(
  constantFrom(0n, 0n, 1n, 1n, BigInt(RegionIndex.CONFIG), BigInt(RegionIndex.CONFIG), 6n),
  word32,
);
const counts = mostly(
  constantFrom(1n, 2n, 4n, 4n, 4n, 8n),
  sizes64.map((size) => BigInt.asUintN(32, size)),
);
const pages = nat(64).map((page) => BigInt(page) * 4096n);
const iovas = mostly(pages, word64, 5);
const pageCounts = mostly(
  integer({ min: 1, max: 8 }).map((n) => BigInt(n) * 4096n),
  word64,
  5,
);

const write = tuple(
  mostly(offsets64, word64),
  regions,
  integer({ min: 0, max: 3 }),
  sizes64,
  boolean(),
  nat(255),
).map(([offset, region, log2, odd, isOdd, fill]): Request => {
  const count = isOdd && Number(odd) <= 2 ** 20 + 64 ? Number(odd) : 1 << log2;
  return { command: Command.REGION_WRITE, values: [offset, region, BigInt(count)], dataBytes: count, fill };
});
/** Registers that all of configuration space's magic hangs on. */
const configWrite = tuple(
  constantFrom(
    Config.COMMAND,
    Config.STATUS,
    Config.BAR0,
    Config.CAPABILITIES,
    0x40,
    0x44,
    0x50,
    0x60,
    0x68,
    0x70,
  ),
  nat(12),
  constantFrom(1, 2, 4),
  nat(255),
).map(
  ([base, more, count, fill]): Request => ({
    command: Command.REGION_WRITE,
    values: [BigInt(base + more), BigInt(RegionIndex.CONFIG), BigInt(count)],
    ...{ dataBytes: count, fill },
  }),
);

const irqFlags = mostly(
  constantFrom(
    IrqSet.DATA_EVENTFD | IrqSet.ACTION_TRIGGER,
    IrqSet.DATA_EVENTFD | IrqSet.ACTION_TRIGGER,
    IrqSet.DATA_NONE | IrqSet.ACTION_TRIGGER,
    IrqSet.DATA_BOOL | IrqSet.ACTION_TRIGGER,
    IrqSet.DATA_NONE | IrqSet.ACTION_MASK,
    IrqSet.DATA_NONE | IrqSet.ACTION_UNMASK,
  ).map(BigInt),
  word32,
);

const requests: Arbitrary<Request> = oneof(
  { weight: 1, arbitrary: request(Command.DEVICE_GET_INFO, [fixed(16), word32, word32, word32]) },
  {
    weight: 2,
    arbitrary: request(Command.DEVICE_GET_REGION_INFO, [fixed(32), word32, regions, word32, word64, word64]),
  },
  {
    weight: 1,
    arbitrary: request(Command.DEVICE_GET_IRQ_INFO, [
      fixed(16),
      word32,
      mostly(nat(IrqIndex.COUNT).map(BigInt), word32),
      word32,
    ]),
  },
  {
    weight: 4,
    arbitrary: request(
      Command.DEVICE_SET_IRQS,
      [
        fixed(20),
        irqFlags,
        mostly(nat(IrqIndex.COUNT).map(BigInt), word32),
        mostly(nat(3).map(BigInt), word32),
        mostly(nat(8).map(BigInt), word32),
      ],
      mostly(constant(0), nat(20), 3),
    ),
  },
  { weight: 5, arbitrary: request(Command.REGION_READ, [mostly(offsets64, word64), regions, counts]) },
  { weight: 5, arbitrary: write },
  { weight: 3, arbitrary: configWrite },
  {
    weight: 4,
    arbitrary: request(Command.DMA_MAP, [
      fixed(32),
      mostly(constantFrom(1n, 2n, 3n, 3n, 3n), word32),
      mostly(constant(0n), oneof(pages, word64), 3),
      iovas,
      pageCounts,
    ]),
  },
  {
    weight: 3,
    arbitrary: request(Command.DMA_UNMAP, [
      fixed(24),
      mostly(constantFrom(0n, 0n, 2n), word32),
      iovas,
      pageCounts,
    ]),
  },
  { weight: 1, arbitrary: request(Command.DEVICE_RESET, []) },
  { weight: 1, arbitrary: request(Command.REGION_WRITE_MULTI, [word64], nat(64)) },
  {
    weight: 1,
    arbitrary: record({
      command: oneof(nat(20), nat(0xffff)).filter((command) => command !== Command.VERSION),
      values: constant([]),
      dataBytes: nat(200),
      fill: nat(255),
    }),
  },
);

const files = mostly(
  array(mostly(constantFrom<FileKind>("sealed", "eventfd"), constantFrom(...fileKinds), 2), { maxLength: 2 }),
  array(constantFrom(...fileKinds), { maxLength: 16, size: "max" }),
);
const noFiles = constant<FileKind[]>([]);
/** Most requests need no descriptors, and each costs the server some system calls. */
const filesFor = ({ command }: Request) =>
  command === Command.DMA_MAP || command === Command.DEVICE_SET_IRQS
    ? mostly(files, noFiles, 4)
    : mostly(noFiles, files, 9);

/** 1 is a reply, 0x10 wants none, 0x20 is an error; the rest has no meaning. */
const headers: Arbitrary<OddHeader> = mostly<OddHeader>(
  constant({}),
  record({
    id: option(nat(0xffff), { nil: undefined }),
    flags: option(oneof(constantFrom(0x10, 0x10, 0x20, 0x30), words32), { nil: undefined }),
    errno: option(words32, { nil: undefined }),
  }),
  14,
);

const MOST_TIMES = 2000;
/** Most bytes of a flood, either way. */
const FLOOD_BYTES = 8 * 2 ** 20;

const messages = (times: Arbitrary<number>): Arbitrary<MessageOperation> =>
  requests.chain((one) => {
    const bytes = 64 + Math.max(one.dataBytes, Number(one.values[2] ?? 0n) & 0x1f_ffff);
    return record({
      kind: constant("message" as const),
      request: constant(one),
      header: headers,
      cutBytes: mostly(constant(0), integer({ min: -16, max: 48 }), 24),
      files: filesFor(one),
      times: times.map((n) => Math.max(1, Math.min(n, Math.floor(FLOOD_BYTES / bytes)))),
      field: nat(4),
      step: oneof(constantFrom(0n, 1n, 4n, 8n, 4096n), word64),
    });
  });

const once = messages(constant(1));

const worksOf: Readonly<Record<ModelName, Arbitrary<Operation>>> = {
  vp9: streams,
  edu: eduCopies,
  nvme: nvmeCommands,
};
const operationsFor = (model: ModelName): Arbitrary<Operation> =>
  oneof(
    { weight: 20, arbitrary: once },
    { weight: 4, arbitrary: messages(integer({ min: 1, max: MOST_TIMES })) },
    { weight: 3, arbitrary: worksOf[model] },
    { weight: 1, arbitrary: record({ kind: constant("version" as const), version: versions }) },
    {
      weight: 1,
      arbitrary: record({
        kind: constant("resize" as const),
        file: constantFrom("loose", "growing"),
        sizeBytes: constantFrom(0, 1, 4096, 8192, 1 << 20),
      }),
    },
    { weight: 1, arbitrary: record({ kind: constant("pause" as const), ms: nat(3) }) },
    { weight: 1, arbitrary: record({ kind: constant("bystander" as const), bytes: nat(40) }) },
  );

const endings: Arbitrary<Ending> = oneof<Arbitrary<Ending>[]>(
  constant({ kind: "close" }),
  record({ kind: constant("leave"), message: once }),
  record({ kind: constant("half"), message: once, sentBytes: nat(80) }),
  record({
    kind: constant("size"),
    message: once,
    sizeBytes: oneof(nat(80), constantFrom(1_048_655, 1_048_656, 1_048_657, 0x7fff_ffff, 0xffff_ffff)),
  }),
  record({ kind: constant("noise"), bytes: array(nat(255), { minLength: 1, maxLength: 200, size: "max" }) }),
  record({ kind: constant("descriptors"), count: integer({ min: 17, max: 250 }) }),
);

/** A session of up to 20 operations, most of them understood by the server. */
export const sessions: Arbitrary<Session> = mostly(
  constant<ModelName>("vp9"),
  constantFrom(...modelNames),
  2,
).chain((model) =>
  record({
    model: constant(model),
    version: mostly<Version | undefined>(
      constantFrom(...["qemu", "plain", "small"].map((name) => ({ name }))) as Arbitrary<Version>,
      oneof(versions, constant(undefined)),
      14,
    ),
    operations: array(operationsFor(model), { maxLength: 20, size: "max" }),
    answers: array(mostly(constant<Answer>("serve"), constantFrom(...answers), 12), {
      maxLength: 6,
      size: "max",
    }),
    pieceBytes: mostly(constant(undefined), option(integer({ min: 1, max: 64 }), { nil: undefined }), 7),
    ending: mostly(constant<Ending>({ kind: "close" }), endings, 2),
  }),
);
