/**
 * A PCI device behind a vfio-user server that notes each access it sees, on standard output: "read BAR0:0x10 32",
 * "write config:0x4 16 0x7", "reset", and "come" and "gone" for its clients. Nothing in it can be mapped: it sees all.
 *
 *     bun noting-device.ts SOCKET
 *
 * BAR0 and BAR2 are memory that lasts from client to client, but for these registers of BAR0, 32 bits each.
 */

import { EventFd } from "../../src/os/eventfd.ts";
import { acceptUnix, Disconnected, FdStream, listenUnix } from "../../src/os/socket.ts";
import { MAX_DATA_BYTES } from "../../src/protocol/limits.ts";
import { BARS, DeviceFlag, IrqIndex, IrqSet, RegionFlag, RegionIndex } from "../../src/protocol/vfio.ts";
import {
  Command,
  getVersion,
  type Message,
  MessageStream,
  putVersion,
} from "../../src/protocol/vfio-user.ts";

const Special = {
  /** A read clears it. */
  READ_TO_CLEAR: 0x10,
  /** Writing a number interrupts: by MSI of that vector, else by INTx, a level. */
  TRIGGER: 0x20,
  /** Any write lets go of INTx. */
  ACKNOWLEDGE: 0x24,
  /** How often it was read. */
  READS: 0x30,
  /** After any write the device answers all ones until its next client comes. */
  UNPLUG: 0x34,
  /** After a write of 1 BAR0 answers all ones for good, after one of 2 both BARs, after one of 3 all of it. */
  KILL: 0x38,
} as const;
const MSI_VECTORS = 4;
const EINVAL = 22;

const regions = new Map<number, Uint8Array>([
  [0, new Uint8Array(0x100)],
  [2, new Uint8Array(0x1000)],
  [RegionIndex.CONFIG, new Uint8Array(256)],
]);
new DataView(regions.get(RegionIndex.CONFIG)!.buffer).setUint32(0, 0x11e8_1234, true);
const registers = new DataView(regions.get(0)!.buffer);

let unplugged = false;
let killed = 0;
const intx = { eventFd: undefined as EventFd | undefined, asserted: false, masked: false };
const msi: EventFd[] = [];

function deliverIntx(): void {
  if (!intx.asserted || intx.masked || !intx.eventFd) return;
  intx.masked = true;
  intx.eventFd.signal();
}

function note(line: string): void {
  process.stdout.write(`${line}\n`);
}

function read(region: number, offset: number, bytes: Uint8Array, to: Uint8Array): void {
  if (unplugged || killed === 3 || (killed === 2 && region < BARS) || (killed === 1 && region === 0)) {
    to.fill(0xff);
    return;
  }
  if (region === 0 && offset === Special.READS)
    registers.setUint32(offset, registers.getUint32(offset, true) + 1, true);
  to.set(bytes.subarray(offset, offset + to.byteLength));
  if (region === 0 && offset === Special.READ_TO_CLEAR) registers.setUint32(offset, 0, true);
}

function write(region: number, offset: number, bytes: Uint8Array, from: Uint8Array): void {
  if (unplugged || killed > 0) return;
  bytes.set(from, offset);
  if (region !== 0) return;
  if (offset === Special.UNPLUG) unplugged = true;
  if (offset === Special.KILL) killed = from[0]!;
  if (offset === Special.ACKNOWLEDGE) intx.asserted = false;
  if (offset !== Special.TRIGGER) return;
  const vector = msi[from[0]!];
  if (vector) return vector.signal();
  intx.asserted = true;
  deliverIntx();
}

function setIrqs(payload: DataView, message: Message): void {
  const flags = payload.getUint32(4, true);
  const index = payload.getUint32(8, true);
  if (flags === (IrqSet.DATA_NONE | IrqSet.ACTION_UNMASK)) {
    intx.masked = false;
    deliverIntx();
  }
  if (!(flags & IrqSet.ACTION_TRIGGER)) return;
  for (const eventFd of msi.splice(0)) eventFd[Symbol.dispose]();
  const eventFds = message.fds.splice(0).map((fd) => new EventFd(fd));
  if (index === IrqIndex.MSI) msi.push(...eventFds);
  if (index === IrqIndex.INTX) {
    Object.assign(intx, { eventFd: eventFds[0], masked: false });
    deliverIntx();
  }
}

/** Puts the reply together and returns its size, or a negative errno. */
function answer(messages: MessageStream, message: Message): number {
  const { command, payload } = message;
  const u32 = (offset: number) => payload.getUint32(offset, true);
  switch (command) {
    case Command.VERSION:
      getVersion(payload);
      return putVersion(messages, { max_msg_fds: 8, max_data_xfer_size: MAX_DATA_BYTES });
    case Command.DEVICE_GET_INFO: {
      const reply = messages.payload(16);
      const words = [16, DeviceFlag.RESET | DeviceFlag.PCI, RegionIndex.COUNT, IrqIndex.COUNT];
      for (const [i, word] of words.entries()) reply.setUint32(i * 4, word, true);
      return 16;
    }
    case Command.DEVICE_GET_REGION_INFO: {
      const index = u32(8);
      const reply = messages.payload(32);
      reply.setUint32(0, 32, true);
      reply.setUint32(4, regions.has(index) ? RegionFlag.READ | RegionFlag.WRITE : 0, true);
      reply.setUint32(8, index, true);
      reply.setBigUint64(16, BigInt(regions.get(index)?.byteLength ?? 0), true);
      return 32;
    }
    case Command.DEVICE_GET_IRQ_INFO: {
      const index = u32(8);
      const counts: Record<number, number> = { [IrqIndex.INTX]: 1, [IrqIndex.MSI]: MSI_VECTORS };
      const reply = messages.payload(16);
      for (const [i, word] of [16, 1, index, counts[index] ?? 0].entries())
        reply.setUint32(i * 4, word, true);
      return 16;
    }
    case Command.DEVICE_SET_IRQS:
      setIrqs(payload, message);
      return 0;
    case Command.REGION_READ:
    case Command.REGION_WRITE: {
      const [offset, region, count] = [Number(payload.getBigUint64(0, true)), u32(8), u32(12)];
      const bytes = regions.get(region);
      if (!bytes || offset + count > bytes.byteLength) return -EINVAL;
      const place = `${region < BARS ? `BAR${region}` : "config"}:0x${offset.toString(16)} ${count * 8}`;
      if (command === Command.REGION_WRITE) {
        const data = new Uint8Array(payload.buffer, payload.byteOffset + 16, count);
        const value = BigInt(`0x${data.toReversed().toHex()}`);
        note(`write ${place} 0x${value.toString(16)}`);
        write(region, offset, bytes, data.slice());
        messages.payload(16);
        return 16;
      }
      note(`read ${place}`);
      const reply = messages.payload(16 + count);
      read(region, offset, bytes, new Uint8Array(reply.buffer, reply.byteOffset + 16, count));
      return 16 + count;
    }
    case Command.DEVICE_RESET:
      note("reset");
      return 0;
    default:
      return -EINVAL;
  }
}

const listener = listenUnix(process.argv[2]!);
note("ready");
for (;;) {
  using stream = new FdStream(acceptUnix(listener));
  note("come");
  const messages = new MessageStream(stream);
  unplugged = false;
  Object.assign(intx, { eventFd: undefined, asserted: false, masked: false });
  try {
    for (;;) {
      const message = messages.receive(-1);
      const size = answer(messages, message);
      const { id, command, noReply, fds } = message;
      for (const fd of fds) fd[Symbol.dispose]();
      if (noReply) continue;
      const header = { id, command, reply: true, noReply: false, errno: size < 0 ? -size : 0 };
      messages.send(header, Math.max(0, size));
    }
  } catch (error) {
    if (!(error instanceof Disconnected)) throw error;
  }
  note("gone");
}
