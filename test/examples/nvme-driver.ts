/** A small NVMe driver for tests of the model: queues, and commands one at a time or in batches. */
import { registers } from "../../examples/nvme/registers.ts";
import { type DmaMemory, openRegisters, type PciDevice } from "../../src/index.ts";

export const PAGE = 4096;
const DOORBELLS = 0x1000;

export interface Command {
  readonly opcode: number;
  readonly namespace?: number;
  readonly prp1?: number;
  readonly prp2?: number;
  /** Dwords 10 to 15. */
  readonly dwords?: readonly number[];
  /** Bits 8 to 15 of dword 0. */
  readonly flags?: number;
}

export interface Completion {
  readonly id: number;
  /** Status code type and code, as in the model. */
  readonly status: number;
  readonly result: number;
  readonly submissionHead: number;
  readonly submissionQueue: number;
}

export interface QueuePair {
  /** Addresses of the two queues. */
  readonly submission: number;
  readonly completion: number;
  /** Sends commands with one ring of the doorbell. They are numbered from 1 on. */
  submit(...commands: Command[]): void;
  /** Takes the completions that there are. */
  take(): Completion[];
  /** Sends one and waits for its completion. */
  run(command: Command): Completion;
}

/** A pair of queues, which the caller makes the controller know. */
export function openQueues(device: PciDevice, id: number, entries: number): QueuePair {
  const bar = device.bars[0]!;
  const memory: DmaMemory = device.allocateDma(entries * 64);
  const completions: DmaMemory = device.allocateDma(entries * 16);
  let [tail, head, phase, next] = [0, 0, 1, 1];
  const submit = (...commands: Command[]) => {
    for (const { opcode, namespace = 0, prp1 = 0, prp2 = 0, dwords = [], flags = 0 } of commands) {
      const at = tail * 64;
      memory.bytes(at, 64).fill(0);
      memory.write32(at, (opcode | (flags << 8) | (next++ << 16)) >>> 0);
      memory.write32(at + 4, namespace);
      memory.write64(at + 24, BigInt(prp1));
      memory.write64(at + 32, BigInt(prp2));
      for (const [i, dword] of dwords.entries()) memory.write32(at + 40 + 4 * i, dword);
      tail = (tail + 1) % entries;
    }
    bar.write32(DOORBELLS + 8 * id, tail);
  };
  const take = () => {
    const taken: Completion[] = [];
    for (;;) {
      const at = head * 16;
      const last = completions.read32(at + 12);
      if (((last >>> 16) & 1) !== phase) break;
      const third = completions.read32(at + 8);
      taken.push({
        ...{ id: last & 0xffff, status: (last >>> 17) & 0x7ff, result: completions.read32(at) },
        ...{ submissionHead: third & 0xffff, submissionQueue: third >>> 16 },
      });
      head = (head + 1) % entries;
      if (head === 0) phase = 1 - phase;
    }
    if (taken.length > 0) bar.write32(DOORBELLS + 8 * id + 4, head);
    return taken;
  };
  const run = (command: Command) => {
    submit(command);
    const deadline = performance.now() + 2000;
    for (;;) {
      const [completion] = take();
      if (completion) return completion;
      if (performance.now() > deadline) throw new Error(`no completion of opcode ${command.opcode}`);
      bar.read32(registers.CSTS.offset); // lets the model work
    }
  };
  return { submission: memory.iova, completion: completions.iova, submit, take, run };
}

/** Enables the controller with admin queues of so many entries. */
export function enable(device: PciDevice, entries = 8): QueuePair {
  const { CC, CSTS, AQA, ASQ, ACQ } = openRegisters(registers, device.bars[0]!);
  CC.write(0);
  const admin = openQueues(device, 0, entries);
  AQA.writeFields({ ASQS: entries - 1, ACQS: entries - 1 });
  ASQ.write(admin.submission);
  ACQ.write(admin.completion);
  CC.writeFields({ EN: 1 });
  if (CSTS.read() !== 1) throw new Error(`not ready: ${CSTS.read()}`);
  return admin;
}

export const createCompletionQueue = (id: number, entries: number, prp1: number, vector = id): Command => ({
  ...{ opcode: 0x05, prp1, dwords: [(id | ((entries - 1) << 16)) >>> 0, 3 | (vector << 16)] },
});
export const createSubmissionQueue = (
  id: number,
  entries: number,
  prp1: number,
  completions = id,
): Command => ({
  ...{ opcode: 0x01, prp1, dwords: [(id | ((entries - 1) << 16)) >>> 0, 1 | (completions << 16)] },
});

/** Makes a pair of I/O queues. */
export function createQueues(device: PciDevice, admin: QueuePair, id: number, entries: number): QueuePair {
  const pair = openQueues(device, id, entries);
  const made = [
    createCompletionQueue(id, entries, pair.completion),
    createSubmissionQueue(id, entries, pair.submission),
  ].map((command) => admin.run(command).status);
  if (made.some(Boolean)) throw new Error(`queues ${id}: ${made}`);
  return pair;
}

export const Io = { FLUSH: 0, WRITE: 1, READ: 2, ZEROES: 8 } as const;

/** A command on blocks of 512 bytes. */
export const onBlocks = (opcode: number, first: number, count: number, prp1: number, prp2 = 0): Command => ({
  ...{ opcode, namespace: 1, prp1, prp2, dwords: [first % 2 ** 32, Math.floor(first / 2 ** 32), count - 1] },
});
