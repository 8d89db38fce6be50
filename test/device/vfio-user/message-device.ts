/**
 * A PCI device behind a vfio-user server that never maps its client's memory, for message-dma.test.ts and the verbs'
 * tests: it reads and writes memory by DMA_READ and DMA_WRITE, and then interrupts by MSI-X.
 *
 *     bun message-device.ts SOCKET [MAX_MSG_FDS]
 *
 * It tells its client that it takes MAX_MSG_FDS descriptors in a message, and refuses more; without the argument it says
 * nothing of them, which means 1. Prints "SET_IRQS start count descriptors" for each that it took. BAR0 takes accesses
 * of 32 and 64 bits and refuses others.
 */

import { EventFd } from "../../../src/os/eventfd.ts";
import { acceptUnix, Disconnected, FdStream, listenUnix } from "../../../src/os/socket.ts";
import { BARS, DeviceFlag, IrqIndex, RegionFlag, RegionIndex } from "../../../src/protocol/vfio.ts";
import { Command, type Message, MessageStream, putVersion } from "../../../src/protocol/vfio-user.ts";

export const VECTORS = 32;
/** Registers of BAR0. */
export const Register = {
  /** 64 bits: where in memory. */
  ADDRESS: 0x00,
  /** How many pages WRITE and POST write. */
  PAGES: 0x08,
  /** Any write: the pages are filled with their numbers from 1 on, each answered; then vector 0 is signalled. */
  WRITE: 0x10,
  /** The same by messages that want no answer. */
  POST: 0x14,
  /** Any write: 8 bytes of memory are put into RESULT; then vector 1 is signalled. */
  READ: 0x18,
  RESULT: 0x20,
  /** Writing a number signals that vector. */
  TRIGGER: 0x28,
  /** Any write ends the server. */
  DIE: 0x2c,
} as const;
/** So long after the write that asks for it the device begins, when its client no longer waits for an answer. */
const DELAY_MS = 100;
const PAGE = 4096;
const EINVAL = 22;
const CONFIG_BYTES = 256;

const registers = new DataView(new ArrayBuffer(4096));
const config = new Uint8Array(CONFIG_BYTES);
new DataView(config.buffer).setUint32(0, 0x5678_1234, true);
const vectors: (EventFd | undefined)[] = [];
let maxFds = 1;
let due: (() => void) | undefined;
let nextId = 0x8000;

/** A request to the client: u64 address, u64 count, data. Returns the answer's data, where it wants one. */
function dma(messages: MessageStream, command: number, at: bigint, data: Uint8Array, noReply = false) {
  const isWrite = command === Command.DMA_WRITE;
  const view = messages.payload(16 + (isWrite ? data.length : 0));
  view.setBigUint64(0, at, true);
  view.setBigUint64(8, BigInt(data.length), true);
  if (isWrite) new Uint8Array(view.buffer, view.byteOffset + 16).set(data);
  const id = nextId++;
  messages.send({ id, command, reply: false, noReply, errno: 0 }, view.byteLength);
  if (noReply) return;
  const answer = messages.receive(10_000);
  if (!answer.reply || answer.id !== id || answer.command !== command || answer.errno)
    throw new Error(`instead of an answer came ${JSON.stringify(answer)}`);
  if (!isWrite) data.set(new Uint8Array(answer.payload.buffer, answer.payload.byteOffset + 16, data.length));
}

function act(messages: MessageStream, register: number, value: number): void {
  const address = registers.getBigUint64(Register.ADDRESS, true);
  const writePages = (noReply: boolean) => {
    for (let page = 0; page < registers.getUint32(Register.PAGES, true); page++) {
      const data = new Uint8Array(PAGE).fill(page + 1);
      dma(messages, Command.DMA_WRITE, address + BigInt(page * PAGE), data, noReply);
    }
    vectors[0]?.signal();
  };
  if (register === Register.WRITE) due = () => writePages(false);
  if (register === Register.POST) due = () => writePages(true);
  if (register === Register.READ)
    due = () => {
      dma(messages, Command.DMA_READ, address, new Uint8Array(registers.buffer, Register.RESULT, 8));
      vectors[1]?.signal();
    };
  if (register === Register.TRIGGER) vectors[value]?.signal();
  if (register === Register.DIE) process.exit(0);
}

function setIrqs(message: Message): number {
  const [index, start, count] = [8, 12, 16].map((offset) => message.payload.getUint32(offset, true));
  const fds = message.fds.splice(0);
  console.log(`SET_IRQS ${start} ${count} ${fds.length}`);
  const wrong = fds.length !== count || fds.length > maxFds || start! + count! > VECTORS;
  if (wrong || index !== IrqIndex.MSIX) {
    for (const fd of fds) fd[Symbol.dispose]();
    return -EINVAL;
  }
  if (count === 0) for (const eventFd of vectors.splice(0)) eventFd?.[Symbol.dispose]();
  for (const [i, fd] of fds.entries()) {
    vectors[start! + i]?.[Symbol.dispose]();
    vectors[start! + i] = new EventFd(fd);
  }
  return 0;
}

/** Carries a request out, puts the reply together and returns its size, or a negative errno. */
function answer(messages: MessageStream, message: Message): number {
  const { command, payload } = message;
  const u32 = (offset: number) => payload.getUint32(offset, true);
  const words = (...values: number[]) => {
    const reply = messages.payload(values.length * 4);
    for (const [i, value] of values.entries()) reply.setUint32(i * 4, value, true);
    return reply.byteLength;
  };
  switch (command) {
    case Command.VERSION:
      return putVersion(messages, process.argv[3] === undefined ? {} : { max_msg_fds: maxFds });
    case Command.DEVICE_GET_INFO:
      return words(16, DeviceFlag.RESET | DeviceFlag.PCI, RegionIndex.COUNT, IrqIndex.COUNT);
    case Command.DEVICE_GET_REGION_INFO: {
      const index = u32(8);
      const sizes: Record<number, number> = { 0: registers.byteLength, [RegionIndex.CONFIG]: CONFIG_BYTES };
      const sizeBytes = sizes[index] ?? 0;
      return words(32, sizeBytes ? RegionFlag.READ | RegionFlag.WRITE : 0, index, 0, sizeBytes, 0, 0, 0);
    }
    case Command.DEVICE_GET_IRQ_INFO:
      return words(16, 1, u32(8), u32(8) === IrqIndex.MSIX ? VECTORS : 0);
    case Command.DEVICE_SET_IRQS:
      return setIrqs(message);
    case Command.DMA_MAP:
    case Command.DMA_UNMAP:
    case Command.DEVICE_RESET:
      return 0;
    case Command.REGION_READ:
    case Command.REGION_WRITE: {
      const [offset, region, count] = [Number(payload.getBigUint64(0, true)), u32(8), u32(12)];
      if (region < BARS && count !== 4 && count !== 8) return -EINVAL;
      const bytes = (region < BARS ? new Uint8Array(registers.buffer) : config).subarray(
        offset,
        offset + count,
      );
      const data = new Uint8Array(payload.buffer, payload.byteOffset + 16);
      if (command === Command.REGION_WRITE) bytes.set(data.subarray(0, count));
      const reply = messages.payload(command === Command.REGION_READ ? 16 + count : 16);
      if (command === Command.REGION_READ)
        new Uint8Array(reply.buffer, reply.byteOffset + 16, count).set(bytes);
      else if (region < BARS) act(messages, offset, registers.getUint32(offset, true));
      return reply.byteLength;
    }
    default:
      return -EINVAL;
  }
}

if (import.meta.main) {
  maxFds = Number(process.argv[3] ?? 1);
  const listener = listenUnix(process.argv[2]!);
  console.log("ready");
  for (;;) {
    using stream = new FdStream(acceptUnix(listener));
    const messages = new MessageStream(stream);
    try {
      for (;;) {
        if (due && !stream.readable(DELAY_MS)) {
          const begin = due;
          due = undefined;
          begin();
          continue;
        }
        const message = messages.receive(-1);
        const sizeBytes = answer(messages, message);
        const { id, command, noReply, fds } = message;
        for (const fd of fds) fd[Symbol.dispose]();
        if (noReply) continue;
        const header = { id, command, reply: true, noReply: false, errno: sizeBytes < 0 ? -sizeBytes : 0 };
        messages.send(header, Math.max(0, sizeBytes));
      }
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
    }
    for (const eventFd of vectors.splice(0)) eventFd?.[Symbol.dispose]();
  }
}
