/** An NVMe controller with a namespace in this process's memory: NVM Express Base Specification 1.4. */
import { defineModel, type ModelDevice, type ModelHandlers } from "vfiokit/model";
import { packFields, unpackFields } from "vfiokit/registers";
import type { CompletionQueue, Namespace, Queue, Queues, SubmissionQueue } from "./commands.ts";
import { adminCommands, HELD, ioCommands } from "./commands.ts";
import { IO_QUEUES, registers } from "./registers.ts";
import { check, PAGE_BYTES, parseCommand, Refused, refuse, Status } from "./transfer.ts";

const [READY, FAILED] = [packFields(registers.CSTS, { RDY: 1 }), packFields(registers.CSTS, { CFS: 1 })];
const SHUT_DOWN = packFields(registers.CSTS, { SHST: 2 });
const [COMMAND_BYTES, COMPLETION_BYTES] = [64, 16];
const DO_NOT_RETRY = 1 << 14; // DNR: the same command would fail again
const TURN_MS = 2; // how long commands run before the host's next access gets its turn

export default defineModel({
  title: "nvme",
  id: { vendor: 0x1234, device: 0x0a4e, classCode: 0x01_08_02 },
  bars: [{ registers, sizeBytes: 8192, addressBits: 64 }],
  interrupts: { msix: IO_QUEUES + 1 },
  options: ["size"],
  create(device) {
    const mib = Number(device.options.get("size") ?? 64);
    if (!(mib >= 1 && mib <= 1024)) throw new RangeError("size must be from 1 to 1024, in MiB");
    const namespace = () => ({ data: new Uint8Array(mib * 2 ** 20), uuid: crypto.randomUUID() });
    return createController(device, device.keep(namespace));
  },
});

type Registers = typeof registers;

function createController(device: ModelDevice<Registers>, namespace: Namespace): ModelHandlers<Registers> {
  const queues: Queues = { submission: new Map(), completion: new Map() };
  const io = ioCommands(device, namespace);
  let admin = adminCommands(device, namespace, queues);
  let masked = 0;
  let stopWork = () => {};

  /** Section 7.3.2 if it is disabled; section 9.5 if it fails, which lasts until it is disabled. */
  const stop = (status: number) => {
    stopWork();
    for (const kind of Object.values(queues)) kind.clear();
    masked = 0;
    device.lower();
    device.set("CSTS", status);
    return false;
  };
  /** Section 7.6.1. */
  const start = () => {
    const { CSS, MPS } = unpackFields(registers.CC, device.get("CC"));
    const { ASQS, ACQS } = unpackFields(registers.AQA, device.get("AQA"));
    if (CSS !== 0 || MPS !== 0 || ASQS < 1 || ACQS < 1) return stop(FAILED);
    const queue = (name: "ASQ" | "ACQ", last: number): Queue => {
      const address = Number(device.get(name));
      return { id: 0, address: address - (address % PAGE_BYTES), entries: last + 1, head: 0, tail: 0 };
    };
    const completions = { ...queue("ACQ", ACQS), vector: 0, phase: 1 };
    queues.completion.set(0, completions);
    queues.submission.set(0, { ...queue("ASQ", ASQS), completions });
    admin = adminCommands(device, namespace, queues);
    device.set("CSTS", READY);
  };

  const isPending = ({ head, tail, vector }: CompletionQueue) =>
    vector !== undefined && head !== tail && !(masked & (1 << vector));
  /** Section 7.5.1: INTA# is asserted while a queue has entries that the host has not taken. */
  const settlePin = () => {
    if (![...queues.completion.values()].some(isPending)) device.lower();
  };

  /** Section 4.6. The half with the phase tag is written last, as the host waits for that. */
  const complete = (queue: SubmissionQueue, command: number, status: number, result = 0) => {
    const to = queue.completions;
    const state = status === Status.SUCCESS ? 0 : status | DO_NOT_RETRY;
    const third = queue.head | (queue.id << 16);
    const words = Uint32Array.of(result, 0, third, command | (to.phase << 16) | (state << 17));
    const at = to.address + to.tail * COMPLETION_BYTES;
    const write = (half: 0 | 8) => device.writeMemory(at + half, new Uint8Array(words.buffer, half, 8));
    if (!write(0) || !write(8)) return stop(FAILED);
    to.tail = (to.tail + 1) % to.entries;
    if (to.tail === 0) to.phase = 1 - to.phase;
    if (isPending(to)) device.raise(to.vector);
    return true;
  };

  /** Executes a queue's next command. False if there is none, or no room for its completion. */
  const step = (queue: SubmissionQueue): boolean => {
    const { head, tail, entries } = queue.completions;
    if (queue.head === queue.tail || (tail + 1) % entries === head) return false;
    const entry = device.readMemory(queue.address + queue.head * COMMAND_BYTES, COMMAND_BYTES);
    if (!entry) return stop(FAILED);
    queue.head = (queue.head + 1) % queue.entries;
    const command = parseCommand(entry);
    try {
      check(!command.isForeign, Status.INVALID_FIELD);
      const execute = (queue.id === 0 ? admin : io)[command.opcode] ?? refuse(Status.INVALID_OPCODE);
      const result = execute(command);
      return result === HELD || complete(queue, command.id, Status.SUCCESS, result);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return complete(queue, command.id, Number(error.cause));
    }
  };

  /** Section 4.13: takes the queues in turn, one command each. */
  const work = () => {
    stopWork();
    const deadline = performance.now() + TURN_MS;
    let isBusy: boolean;
    do {
      isBusy = false;
      for (const queue of queues.submission.values()) isBusy = step(queue) || isBusy;
    } while (isBusy && performance.now() < deadline);
    if (isBusy) stopWork = device.after(0, work);
  };

  /** A doorbell moves a queue's index. A value that it can't have is ignored, and so is a doorbell without a queue. */
  const ring = (index: "head" | "tail", queue: Queue | undefined, value: number) => {
    if (!queue || value >= queue.entries) return;
    const distance = (to: number) => (to - queue.head + queue.entries) % queue.entries;
    if (index === "head" && distance(value) > distance(queue.tail)) return;
    queue[index] = value;
    settlePin();
    work();
  };

  const mask = (vectors: number) => {
    masked = vectors >>> 0;
    settlePin();
    for (const queue of queues.completion.values()) if (isPending(queue)) device.raise(queue.vector);
  };
  return {
    SQTDBL: { write: (tail, queue) => ring("tail", queues.submission.get(queue), tail) },
    CQHDBL: { write: (head, queue) => ring("head", queues.completion.get(queue), head) },
    INTMS: { read: () => masked, write: (vectors) => mask(masked | vectors) },
    INTMC: { read: () => masked, write: (vectors) => mask(masked & ~vectors) },
    CC: {
      write(value) {
        const before = unpackFields(registers.CC, device.get("CC"));
        const { EN, SHN } = unpackFields(registers.CC, value);
        device.set("CC", value);
        if (EN && !before.EN) start();
        if (!EN && before.EN) stop(0);
        if (SHN) device.set("CSTS", device.get("CSTS") | SHUT_DOWN);
      },
    },
  };
}
