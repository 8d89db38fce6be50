/**
 * vfio-user servers that break the protocol or die, each in its own way, for hostile.test.ts: one process that listens
 * on DIRECTORY/<name> for each, and serves one connection at a time.
 *
 *     bun hostile-servers.ts DIRECTORY
 */
import { ptr } from "bun:ffi";
import { type Fd, O_RDONLY, openFile } from "../../../src/os/fd.ts";
import { libc } from "../../../src/os/libc.ts";
import { createMemfd } from "../../../src/os/memory.ts";
import { POLLIN, poll } from "../../../src/os/poll.ts";
import { acceptUnix, FdStream, listenUnix } from "../../../src/os/socket.ts";
import { DeviceFlag, RegionFlag, RegionIndex, SPARSE_MMAP_CAP } from "../../../src/protocol/vfio.ts";
import { Command } from "../../../src/protocol/vfio-user.ts";
import { looseMemfd } from "../../os/loose-memfd.ts";
import { headerOf, receiveRaw } from "./wire.ts";

interface Request extends ReturnType<typeof headerOf> {
  readonly payload: DataView;
}

/** What is unusual about a reply. */
interface Odd {
  readonly id?: number;
  readonly command?: number;
  /** The size in the header, whatever is sent. */
  readonly sizeBytes?: number;
  readonly flags?: number;
  readonly errno?: number;
  readonly fds?: readonly number[];
}

/** Answers one command; false leaves it to the ordinary device. */
type Answer = (request: Request, peer: Peer) => unknown;
type Answers = Readonly<Record<number, Answer>>;

const REPLY = 1;
const NO_REPLY = 0x10;
const ERROR = 0x20;
const REGION_BYTES = 4096;

class Peer {
  readonly stream: FdStream;
  /** What goes along with every message. */
  fds: readonly number[] = [];

  constructor(stream: FdStream) {
    this.stream = stream;
  }

  receive(): Request | undefined {
    const message = receiveRaw(this.stream, -1);
    if (!message) return undefined;
    for (const fd of message.fds) fd[Symbol.dispose]();
    return { ...headerOf(message.bytes), payload: new DataView(message.bytes.buffer, 16) };
  }

  send(id: number, command: number, flags: number, payload: Uint8Array, odd: Odd = {}): void {
    const bytes = new Uint8Array(16 + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, odd.id ?? id, true);
    view.setUint16(2, odd.command ?? command, true);
    view.setUint32(4, odd.sizeBytes ?? bytes.length, true);
    view.setUint32(8, odd.flags ?? flags, true);
    view.setUint32(12, odd.errno ?? 0, true);
    bytes.set(payload, 16);
    this.stream.send(bytes, odd.fds ?? this.fds);
  }

  reply({ id, command }: Request, payload: Uint8Array = new Uint8Array(), odd: Odd = {}): void {
    this.send(id, command, REPLY | (odd.errno === undefined ? 0 : ERROR), payload, odd);
  }

  close(): void {
    this.stream[Symbol.dispose]();
    closed = true;
  }
}

/** Whether the present connection was closed from this side. */
let closed = false;

const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const u16 = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer);
const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const version = (capabilities: object, major = 0) =>
  join(u16(major, 0), Buffer.from(`${JSON.stringify({ capabilities })}\0`));

/** VFIO's region information, with a chain of capabilities at its end. */
function regionInfo(
  index: number,
  flags: number,
  sizeBytes: number,
  more: Partial<Record<"argsz" | "capOffset", number>> = {},
  chain: Uint8Array = new Uint8Array(),
): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(32));
  fixed.setUint32(0, more.argsz ?? 32 + chain.length, true);
  fixed.setUint32(4, flags, true);
  fixed.setUint32(8, index, true);
  fixed.setUint32(12, more.capOffset ?? (chain.length ? 32 : 0), true);
  fixed.setBigUint64(16, BigInt(sizeBytes), true);
  return join(new Uint8Array(fixed.buffer), chain);
}

/** A sparse-mmap capability that announces `count` areas and has those given. */
function sparse(
  next: number,
  areas: readonly (readonly [offset: number, sizeBytes: number])[],
  count = areas.length,
): Uint8Array {
  const list = BigUint64Array.from(areas.flat(), BigInt);
  return join(
    u16(SPARSE_MMAP_CAP.ID, SPARSE_MMAP_CAP.VERSION),
    u32(next, count, 0),
    new Uint8Array(list.buffer),
  );
}

const memory = createMemfd("hostile", REGION_BYTES);
const readOnly = openFile(`/proc/self/fd/${memory.number}`, O_RDONLY);
const loose = looseMemfd("loose", REGION_BYTES);
const MAPPED = RegionFlag.READ | RegionFlag.WRITE | RegionFlag.MMAP;

/** A device with 4 KiB at BAR0 that reads as zeros, and one vector of each kind. */
const ordinary: Answers = {
  [Command.VERSION]: (request, peer) => peer.reply(request, version({})),
  [Command.DEVICE_GET_INFO]: (request, peer) =>
    peer.reply(request, u32(16, DeviceFlag.PCI | DeviceFlag.RESET, RegionIndex.COUNT, 5)),
  [Command.DEVICE_GET_REGION_INFO]: (request, peer) => {
    const index = request.payload.getUint32(8, true);
    const size = index === RegionIndex.BAR0 || index === RegionIndex.CONFIG ? REGION_BYTES : 0;
    peer.reply(request, regionInfo(index, RegionFlag.READ | RegionFlag.WRITE, size));
  },
  [Command.DEVICE_GET_IRQ_INFO]: (request, peer) =>
    peer.reply(request, u32(16, 1, request.payload.getUint32(8, true), 1)),
  [Command.REGION_READ]: (request, peer) => peer.reply(request, access(request)),
  [Command.REGION_WRITE]: (request, peer) => {
    if (!request.posted) peer.reply(request, access(request).subarray(0, 16));
  },
};

/** The payload of a reply to an access, with data to read. */
function access({ payload }: Request, ...data: number[]): Uint8Array {
  const reply = new Uint8Array(16 + payload.getUint32(12, true));
  reply.set(new Uint8Array(payload.buffer, payload.byteOffset, 16));
  reply.set(data, 16);
  return reply;
}

const isBar0 = ({ payload }: Request) => payload.getUint32(8, true) === RegionIndex.BAR0;

/** The ordinary device, but for some commands. */
const except = (answers: Answers) => (peer: Peer) => {
  for (let request = peer.receive(); request; request = closed ? undefined : peer.receive()) {
    const { command } = request;
    if (answers[command] && answers[command](request, peer) !== false) continue;
    if (ordinary[command]) ordinary[command](request, peer);
    else peer.reply(request);
  }
};
const onVersion = (odd: Odd, payload: Uint8Array = version({})) =>
  except({ [Command.VERSION]: (request, peer) => peer.reply(request, payload, odd) });
const onInfo = (...info: number[]) =>
  except({ [Command.DEVICE_GET_INFO]: (request, peer) => peer.reply(request, u32(...info)) });
/** BAR0's information; the descriptor that comes with it shows whether it is closed. */
const onBar0 = (info: (request: Request) => Uint8Array, fd = memory) =>
  except({
    [Command.DEVICE_GET_REGION_INFO]: (request, peer) =>
      isBar0(request) && peer.reply(request, info(request), { fds: [fd.number] }),
  });
const sparseBar0 = (capability: Uint8Array, more: Partial<Record<"argsz" | "capOffset", number>> = {}) =>
  onBar0(() => regionInfo(0, MAPPED | RegionFlag.CAPS, REGION_BYTES, more, capability));
const refuses = (command: number, errno: number) =>
  except({ [command]: (request, peer) => peer.reply(request, undefined, { errno }) });
/** Something else than the answer to a read of BAR0. */
const onRead = (answer: Answer) =>
  except({ [Command.REGION_READ]: (request, peer) => isBar0(request) && answer(request, peer) });

/**
 * Requests to the client for memory, by the offset of the read of BAR0 that makes the server send them; the read then
 * gives the errno of the client's answer.
 */
export const dmaRequests = {
  "a read before all memory": { command: Command.DMA_READ, address: 2 ** 32 - 8, count: 16 },
  "a read that ends after all memory": { command: Command.DMA_READ, address: 2 ** 32 + 4088, count: 16 },
  "a read at the end of the address space": {
    command: Command.DMA_READ,
    address: 2 ** 64 - 4096,
    count: 8192,
  },
  "a write after all memory": { command: Command.DMA_WRITE, address: 2 ** 32 + 4096, count: 8, dataBytes: 8 },
  "a write of more than its data": { command: Command.DMA_WRITE, address: 2 ** 32, count: 16, dataBytes: 8 },
  "a read without an address": { command: Command.DMA_READ },
  "a request that no client takes": { command: Command.DEVICE_GET_INFO, address: 0, count: 0 },
} as const;

interface DmaRequest {
  readonly command: number;
  readonly address?: number;
  readonly count?: number;
  readonly dataBytes?: number;
}

function dmaPayload({ address, count = 0, dataBytes = 0 }: DmaRequest): Uint8Array {
  if (address === undefined) return new Uint8Array();
  const payload = new Uint8Array(16 + dataBytes).fill(0xee);
  new BigUint64Array(payload.buffer, 0, 2).set([BigInt(address), BigInt(count)]);
  return payload;
}

/** sendmsg(2) with more descriptors than src/os/socket.ts would send. */
function sendWithFds(stream: FdStream, bytes: Uint8Array<ArrayBuffer>, fds: number): void {
  const control = new ArrayBuffer((16 + fds * 4 + 7) & ~7);
  new BigUint64Array(control, 0, 1)[0] = BigInt(16 + fds * 4);
  new Int32Array(control, 8, 2).set([1, 1]);
  new Int32Array(control, 16, fds).fill(memory.number);
  const vector = BigUint64Array.of(BigInt(ptr(bytes)), BigInt(bytes.length));
  const [iov, controls, controlBytes] = [ptr(vector), ptr(control), control.byteLength].map(BigInt);
  libc.sendmsg(stream.fd.number, ptr(BigUint64Array.of(0n, 0n, iov!, 1n, controls!, controlBytes!, 0n)), 0);
}

/** Writes to the client's memory and wants no reply, until the client hangs up. */
function flood(peer: Peer): void {
  const write = dmaPayload({ command: Command.DMA_WRITE, address: 2 ** 32, count: 8, dataBytes: 8 });
  const message = join(u16(1, Command.DMA_WRITE), u32(16 + write.length, NO_REPLY, 0), write);
  // Many at a time: the client always finds another one.
  const many = join(...Array<Uint8Array>(4096).fill(message));
  try {
    for (;;) peer.stream.send(many);
  } catch {
    peer.close();
  }
}

const writeSizes: number[] = [];

export const servers = {
  ordinary: except({}),
  "closes at once": () => {},
  "never answers": (peer: Peer) => {
    while (peer.receive());
  },
  "stops in a message": except({
    [Command.VERSION]: (request, peer) => {
      peer.reply(request, new Uint8Array(4), { sizeBytes: 100 });
      peer.close();
    },
  }),
  "another id": onVersion({ id: 7 }),
  "another command": onVersion({ command: Command.DMA_MAP }),
  "size 0": onVersion({ sizeBytes: 0 }),
  "size 15": onVersion({ sizeBytes: 15 }),
  "size 2^32 - 1": onVersion({ sizeBytes: 0xffff_ffff }),
  "17 descriptors": except({
    [Command.VERSION]: ({ id }, peer) =>
      sendWithFds(peer.stream, join(u16(id, Command.VERSION), u32(16, REPLY, 0)), 17),
  }),
  "refuses VERSION": refuses(Command.VERSION, 13),
  "refuses VERSION without an errno": refuses(Command.VERSION, 0),
  "no version": onVersion({ fds: [memory.number] }, new Uint8Array()),
  "version 1.0": onVersion({ fds: [memory.number] }, version({}, 1)),
  "version without JSON": onVersion({ fds: [memory.number] }, Buffer.from("\0\0\0\0hello\0")),
  "version with 4 bytes a message": onVersion({}, version({ max_data_xfer_size: 4 })),

  "not PCI": onInfo(16, DeviceFlag.RESET, RegionIndex.COUNT, 5),
  "no config region": onInfo(16, DeviceFlag.PCI, RegionIndex.CONFIG, 5),
  "half the information": onInfo(16, DeviceFlag.PCI),
  "no reset and no interrupts": onInfo(16, DeviceFlag.PCI, RegionIndex.COUNT, 0),

  "half a region": onBar0(() => regionInfo(0, MAPPED, REGION_BYTES).subarray(0, 16)),
  "huge region": onBar0(() => regionInfo(0, MAPPED, 2 ** 60)),
  "region information that grows": onBar0(({ payload }) =>
    regionInfo(0, MAPPED, REGION_BYTES, { argsz: payload.getUint32(0, true) + 16 }),
  ),
  "capability outside": sparseBar0(new Uint8Array(), { capOffset: 4096 }),
  "capability in the header": sparseBar0(sparse(0, []), { argsz: 32, capOffset: 8 }),
  // Id 2 and the link to itself.
  "capabilities in a circle": onBar0(({ payload }) =>
    regionInfo(
      0,
      MAPPED | RegionFlag.CAPS,
      REGION_BYTES,
      { argsz: Math.max(40, payload.getUint32(0, true)) },
      u32(0x1_0002, 32),
    ),
  ),
  "areas that do not fit": sparseBar0(sparse(0, [[0, 4096]], 0xffff_ffff)),
  "area past the end": sparseBar0(
    sparse(0, [
      [0, 4096],
      [4096, 4096],
    ]),
  ),
  "huge area": sparseBar0(sparse(0, [[0, 2 ** 63]])),
  "empty area": sparseBar0(sparse(0, [[0, 0]])),
  "area within a page": sparseBar0(sparse(0, [[8, 4088]])),
  "file that can't be mapped": onBar0(() => regionInfo(0, MAPPED, REGION_BYTES), readOnly),
  "configuration space without a header": except({
    [Command.DEVICE_GET_REGION_INFO]: ({ payload, ...request }, peer) =>
      payload.getUint32(8, true) === RegionIndex.CONFIG &&
      peer.reply({ payload, ...request }, regionInfo(RegionIndex.CONFIG, RegionFlag.READ, 4)),
  }),
  "another command for a region": except({
    [Command.DEVICE_GET_REGION_INFO]: (request, peer) =>
      peer.reply(request, regionInfo(0, MAPPED, REGION_BYTES), {
        command: Command.DMA_MAP,
        fds: [memory.number],
      }),
  }),
  "refuses a region": refuses(Command.DEVICE_GET_REGION_INFO, 95),

  "descriptors with all replies": (peer: Peer) => {
    peer.fds = [memory.number, memory.number];
    except({})(peer);
  },
  "answers a read with too little": onRead((request, peer) =>
    peer.reply(request, access(request).subarray(0, 18)),
  ),
  "answers a read with nothing": onRead((request, peer) => peer.reply(request)),
  "dies of a read": onRead((_, peer) => peer.close()),
  "refuses memory": refuses(Command.DMA_MAP, 12),
  "keeps memory": refuses(Command.DMA_UNMAP, 16),
  "refuses interrupts": refuses(Command.DEVICE_SET_IRQS, 22),
  "refuses writes": except({
    [Command.REGION_WRITE]: (request, peer) =>
      isBar0(request) && (request.posted || peer.reply(request, undefined, { errno: 22 })),
  }),
  "refuses a reset": refuses(Command.DEVICE_RESET, 9999),

  "takes 64 bytes a message": except({
    [Command.VERSION]: (request, peer) => peer.reply(request, version({ max_data_xfer_size: 64 })),
    [Command.REGION_WRITE]: (request) => {
      if (isBar0(request)) writeSizes.push(request.payload.getUint32(12, true));
      return false;
    },
    [Command.REGION_READ]: (request, peer) =>
      isBar0(request) && peer.reply(request, access(request, ...writeSizes)),
  }),
  "offers memory that it can truncate": onBar0(() => regionInfo(0, MAPPED, REGION_BYTES), loose),
  "offers memory that it can't truncate": onBar0(() => regionInfo(0, MAPPED, REGION_BYTES)),
  "asks for memory": onRead((request, peer) => {
    const dma: DmaRequest = Object.values(dmaRequests)[Number(request.payload.getBigUint64(0, true)) / 4]!;
    peer.send(0xabc, dma.command, 0, dmaPayload(dma));
    const answer = peer.receive()!;
    const right = answer.id === 0xabc && answer.command === dma.command && answer.reply;
    peer.reply(request, access(request, right ? answer.errno : 0xff));
  }),
  "writes memory and wants no reply": onRead((request, peer) => {
    peer.send(
      1,
      Command.DMA_WRITE,
      NO_REPLY,
      dmaPayload({ command: Command.DMA_WRITE, address: 2 ** 32, count: 8, dataBytes: 8 }),
    );
    peer.reply(request, access(request));
  }),
  "writes memory for ever": except({
    [Command.REGION_READ]: (request, peer) => isBar0(request) && flood(peer),
    [Command.REGION_WRITE]: (request, peer) => {
      if (!isBar0(request)) return false;
      peer.reply(request, access(request).subarray(0, 16));
      return flood(peer);
    },
  }),
  "region information of 2^20 bytes": onBar0(() =>
    regionInfo(0, MAPPED | RegionFlag.CAPS, REGION_BYTES, { argsz: 2 ** 20 }),
  ),
} satisfies Record<string, (peer: Peer) => void>;
export type ServerName = keyof typeof servers;

if (import.meta.main) {
  const listeners = Object.entries(servers).map(([name, serve]) => ({
    serve,
    fd: listenUnix(`${process.argv[2]}/${name.replaceAll(" ", "-")}`),
  }));
  console.log("ready");
  for (;;) {
    const ready = poll(
      listeners.map(({ fd }: { fd: Fd }) => ({ fd: fd.number, events: POLLIN })),
      -1,
    );
    const { serve, fd } = listeners[ready.findIndex((events) => events !== 0)]!;
    const stream = new FdStream(acceptUnix(fd));
    closed = false;
    serve(new Peer(stream));
    stream[Symbol.dispose]();
  }
}
