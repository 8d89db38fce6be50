/** What a driver of the nvme example does: queues, and commands in them. */
import {
  type Arbitrary,
  array,
  boolean,
  constant,
  constantFrom,
  nat,
  oneof,
  option,
  record,
  tuple,
} from "fast-check";
import { pack } from "../raw-client.ts";
import { mostly, word64, words32 } from "./numbers.ts";
import { RAM_BYTES, type Step, type Work } from "./work.ts";

/** A controller is enabled, and gets commands: NVM Express Base Specification 1.4, sections 5 and 6. */
export interface NvmeOperation {
  readonly kind: "nvme";
  readonly share: boolean;
  readonly configuration: number;
  readonly admin: readonly Command[];
  readonly io: readonly Command[];
  readonly doorbells: readonly (readonly [queue: number, value: number])[];
}

interface Command {
  readonly opcode: number;
  readonly namespace: number;
  readonly data: bigint;
  readonly data2: bigint;
  readonly words: readonly [number, number, number];
}

const NVME_IOVA = 2 ** 32;
/** Places in the memory: queues of 16 commands, and data. */
const Place = { ASQ: 0, ACQ: 0x1000, SQ: 0x2000, CQ: 0x3000, DATA: 0x4000 } as const;
const ENTRIES = 16;
const NvmeRegister = { CC: 0x14, AQA: 0x24, ASQ: 0x28, ACQ: 0x30, DOORBELLS: 0x1000 } as const;
/** Opcodes of section 5 and of section 6. */
const ADMIN = [0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0c] as const;
const IO = [0x00, 0x01, 0x02, 0x05, 0x08, 0x09] as const;

const data = mostly(
  nat(RAM_BYTES / 4096 - 8).map((page) => BigInt(NVME_IOVA + Place.DATA + page * 4096)),
  word64,
);
const words = oneof(nat(16), words32);
const commands = (opcodes: readonly number[]): Arbitrary<Command> =>
  record({
    opcode: mostly(constantFrom(...opcodes), nat(255)),
    namespace: mostly(constantFrom(0, 1), words32),
    data,
    data2: oneof(constant(0n), data),
    words: oneof(tuple(words, words, words), constant<[number, number, number]>([0, 0, 7])),
  });

export const nvmeCommands: Arbitrary<NvmeOperation> = record({
  kind: constant("nvme"),
  share: boolean(),
  configuration: mostly(constant(1), words32),
  admin: array(commands(ADMIN), { maxLength: 6, size: "max" }),
  io: array(commands(IO), { maxLength: 8, size: "max" }),
  doorbells: array(tuple(nat(11), option(nat(20), { nil: 0xffff_ffff })), { maxLength: 3 }),
});

export function nvmeWork({ share, configuration, admin, io, doorbells }: NvmeOperation): Work {
  const write = (offset: number, bytes: Uint8Array): Step => ({ region: 0, offset, bytes });
  const pair = (opcode: number, place: number, word11: number): Command => ({
    ...{ opcode, namespace: 0, data: BigInt(NVME_IOVA + place), data2: 0n },
    words: [1 | ((ENTRIES - 1) << 16), word11, 0],
  });
  /** A completion queue and a submission queue of number 1 come first. */
  const all = [pair(0x05, Place.CQ, 3), pair(0x01, Place.SQ, (1 << 16) | 1), ...admin];
  const queue = (place: number, list: readonly Command[]): Step => ({
    region: "memory",
    offset: place,
    bytes: new Uint8Array(Buffer.concat(list.map(commandBytes))),
  });
  return {
    ...{ iova: NVME_IOVA, share },
    steps: [
      write(NvmeRegister.CC, pack("4", 0)),
      write(NvmeRegister.AQA, pack("4", (ENTRIES - 1) | ((ENTRIES - 1) << 16))),
      write(NvmeRegister.ASQ, pack("8", NVME_IOVA + Place.ASQ)),
      write(NvmeRegister.ACQ, pack("8", NVME_IOVA + Place.ACQ)),
      queue(Place.ASQ, all),
      queue(Place.SQ, io),
      write(NvmeRegister.CC, pack("4", configuration)),
      write(NvmeRegister.DOORBELLS, pack("4", all.length)),
      write(NvmeRegister.DOORBELLS + 8, pack("4", io.length)),
      ...doorbells.map(([one, value]) => write(NvmeRegister.DOORBELLS + 4 * one, pack("4", value))),
    ],
  };
}

function commandBytes(
  { opcode, namespace, data: first, data2, words: last }: Command,
  id: number,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(64));
  view.setUint8(0, opcode);
  view.setUint16(2, id, true);
  view.setUint32(4, namespace, true);
  view.setBigUint64(24, first, true);
  view.setBigUint64(32, data2, true);
  for (const [i, word] of last.entries()) view.setUint32(40 + 4 * i, word, true);
  return new Uint8Array(view.buffer);
}
