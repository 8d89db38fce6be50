/** The commands: NVM Express Base Specification 1.4, sections 5 (admin) and 6 (NVM). */
import type { ModelDevice } from "vfiokit/model";
import { IO_QUEUES, QUEUE_ENTRIES, registers } from "./registers.ts";
import { type Command, check, PAGE_BYTES, refuse, Status, transfer } from "./transfer.ts";

const BLOCK_BYTES = 512;
const MOST_PAGES_LOG2 = 8; // MDTS: a command moves at most 2^8 pages
const HELD_EVENTS = 4;
const WARNING_KELVINS = 343;
const NUMBER_OF_QUEUES = 7;

export type Queue = Readonly<Record<"id" | "address" | "entries", number>> & Record<"head" | "tail", number>;
/** Without a vector it does not interrupt. */
export type CompletionQueue = Queue & { readonly vector: number | undefined; phase: number };
export type SubmissionQueue = Queue & { readonly completions: CompletionQueue };
export type Queues = { submission: Map<number, SubmissionQueue>; completion: Map<number, CompletionQueue> };
export type Namespace = { readonly data: Uint8Array; readonly uuid: string };

export const HELD = "held"; // the result of a command that does not complete yet
/** Commands by opcode. Each gives dword 0 of its completion, or undefined for 0. They throw Refused. */
export type Commands = Readonly<Record<number, (command: Command) => number | typeof HELD | undefined>>;

const little = (value: number) => [...new Uint8Array(new Uint32Array([value]).buffer)];
const text = (value: string, sizeBytes = 0) => [...Buffer.from(value.padEnd(sizeBytes))];

/** A data structure from its parts by offset; the rest is 0. */
function structure(parts: Readonly<Record<number, readonly number[]>>): Uint8Array {
  const data = new Uint8Array(PAGE_BYTES);
  for (const [offset, bytes] of Object.entries(parts)) data.set(bytes, Number(offset));
  return data;
}

/** Section 5.14.1.2: kelvins, and per cent of spare blocks. */
const health = structure({ 1: little(300), 3: [100, 10] });

/** Section 5.15: the namespace, the controller, the namespaces above an id, and the namespace's names. */
function identify({ data, uuid }: Namespace, { dword, namespace: id }: Command): Uint8Array {
  const cns = dword(10) & 0xff;
  check(cns <= 3, Status.INVALID_FIELD);
  check(cns === 1 || (cns === 2 ? id < 0xffff_fffe : id === 1), Status.INVALID_NAMESPACE);
  const blocks = little(data.byteLength / BLOCK_BYTES);
  if (cns === 0) return structure({ 0: blocks, 8: blocks, 16: blocks, 130: [Math.log2(BLOCK_BYTES)] });
  if (cns === 2) return structure({ 0: [id < 1 ? 1 : 0] });
  if (cns === 3) return structure({ 0: [3, 16, 0, 0, ...Buffer.from(uuid.replaceAll("-", ""), "hex")] });
  return structure({
    ...{ 4: text(uuid.slice(0, 18), 20), 24: text("vfiokit NVMe", 40), 64: text("1", 8) },
    ...{ 0: little(0x1234_1234), 77: [MOST_PAGES_LOG2], 80: little(registers.VS.reset), 111: [1] }, // 111: for I/O
    ...{ 258: [0, HELD_EVENTS - 1, 3], 266: little(WARNING_KELVINS), 268: little(WARNING_KELVINS + 10) },
    512: [0x66, 0x44, 0, 0, 1], // queue entries of 2^6 and 2^4 bytes, and one namespace
    520: [1 << 3, 0, 0, 0, 0, 0x07], // Write Zeroes, and a write cache that Flush empties for all namespaces, too
    768: text(`nqn.2014-08.org.nvmexpress:uuid:${uuid}`),
  });
}

export function adminCommands(device: ModelDevice, namespace: Namespace, queues: Queues): Commands {
  const { submission, completion } = queues;
  const allocated = (IO_QUEUES - 1) * 0x1_0001;
  const features: Record<number, number> = { 4: WARNING_KELVINS, 6: 1, [NUMBER_OF_QUEUES]: allocated };
  for (const id of [1, 2, 5, 8, 9, 10, 11]) features[id] = 0;
  let heldEvents = 0;

  /** The queue that a command creates. */
  const queueOf = ({ dword, prp1 }: Command, taken: ReadonlyMap<number, unknown>): Queue => {
    const [id, entries] = [dword(10) & 0xffff, (dword(10) >>> 16) + 1];
    check(id >= 1 && id <= IO_QUEUES && !taken.has(id), Status.INVALID_QUEUE_IDENTIFIER);
    check(entries >= 2 && entries <= QUEUE_ENTRIES, Status.INVALID_QUEUE_SIZE);
    check((dword(11) & 1) !== 0, Status.INVALID_FIELD); // it is not contiguous
    check(prp1 % PAGE_BYTES === 0, Status.PRP_OFFSET_INVALID);
    return { id, address: prp1, entries, head: 0, tail: 0 };
  };
  const remove = ({ dword }: Command, from: Queues[keyof Queues]): undefined => {
    const id = dword(10) & 0xffff;
    const queue = (id > 0 && from.get(id)) || refuse(Status.INVALID_QUEUE_IDENTIFIER);
    for (const other of submission.values())
      check(other.completions !== queue, Status.INVALID_QUEUE_DELETION);
    from.delete(id);
  };

  return {
    0: (command) => remove(command, submission), // Delete I/O Submission Queue
    // Create I/O Submission Queue
    1(command) {
      const id = command.dword(11) >>> 16;
      const completions = (id > 0 && completion.get(id)) || refuse(Status.COMPLETION_QUEUE_INVALID);
      const queue = queueOf(command, submission);
      submission.set(queue.id, { ...queue, completions });
    },
    // Get Log Page: errors, health, firmware
    2(command) {
      const [id, sizeBytes] = [command.dword(10) & 0xff, 4 * ((command.dword(10) >>> 16) + 1)];
      check(id >= 1 && id <= 3, Status.INVALID_LOG_PAGE);
      check(sizeBytes <= PAGE_BYTES, Status.INVALID_FIELD);
      transfer(device, command, id === 2 ? health.subarray(0, sizeBytes) : new Uint8Array(sizeBytes), "host");
    },
    4: (command) => remove(command, completion), // Delete I/O Completion Queue
    // Create I/O Completion Queue
    5(command) {
      const queue = queueOf(command, completion);
      const [interrupts, vector] = [command.dword(11) & 2, command.dword(11) >>> 16];
      check(vector <= IO_QUEUES, Status.INVALID_INTERRUPT_VECTOR);
      completion.set(queue.id, { ...queue, vector: interrupts ? vector : undefined, phase: 1 });
    },
    6: (command) => transfer(device, command, identify(namespace, command), "host"),
    8: () => 1, // Abort: not aborted, for every other command is complete
    // Set Features, of which none can be saved
    9({ dword }) {
      const [id, value] = [dword(10), dword(11)];
      check(features[id] !== undefined, Status.INVALID_FIELD);
      if (id !== NUMBER_OF_QUEUES) features[id] = value;
      else {
        check((value & 0xffff) < 0xffff && value >>> 16 < 0xffff, Status.INVALID_FIELD);
        check(completion.size === 1, Status.COMMAND_SEQUENCE_ERROR);
        return allocated;
      }
    },
    10: ({ dword }) => features[dword(10) & 0xff] ?? refuse(Status.INVALID_FIELD), // Get Features
    // Asynchronous Event Request: no event ever happens
    12: () => (heldEvents++ < HELD_EVENTS ? HELD : refuse(Status.EVENT_LIMIT_EXCEEDED)),
  };
}

export function ioCommands(device: ModelDevice, { data }: Namespace): Commands {
  /** The blocks that a command reads or writes. */
  const blocksOf = ({ namespace, dword }: Command) => {
    const first = (dword(10) + dword(11) * 2 ** 32) * BLOCK_BYTES;
    const sizeBytes = ((dword(12) & 0xffff) + 1) * BLOCK_BYTES;
    check(namespace === 1, Status.INVALID_NAMESPACE);
    check(first + sizeBytes <= data.byteLength, Status.LBA_OUT_OF_RANGE);
    check(sizeBytes <= PAGE_BYTES * 2 ** MOST_PAGES_LOG2, Status.INVALID_FIELD);
    return data.subarray(first, first + sizeBytes);
  };
  return {
    // Flush: a write is stored when it completes
    0: ({ namespace }) => check(namespace === 1 || namespace === 0xffff_ffff, Status.INVALID_NAMESPACE),
    1: (command) => transfer(device, command, blocksOf(command), "device"),
    2: (command) => transfer(device, command, blocksOf(command), "host"),
    8: (command) => void blocksOf(command).fill(0), // Write Zeroes
  };
}
