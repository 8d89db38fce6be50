/** What a client may do wrong, and what must come of it: a refusal, or the end of its connection, and nothing else. */
import { ptr } from "bun:ffi";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { EventFd } from "../../src/os/eventfd.ts";
import { Fd, O_NONBLOCK, O_RDONLY, O_RDWR, openFile } from "../../src/os/fd.ts";
import { libc } from "../../src/os/libc.ts";
import { createMemfd, mapShared } from "../../src/os/memory.ts";
import { POLLIN, poll } from "../../src/os/poll.ts";
import { socketPair } from "../../src/os/socket.ts";
import { Config } from "../../src/pci/config-offsets.ts";
import { IrqIndex, RegionIndex } from "../../src/protocol/vfio.ts";
import { Command } from "../../src/protocol/vfio-user.ts";
import { registers } from "../../src/vp9/contract/registers.ts";
import { looseMemfd, truncate } from "../os/loose-memfd.ts";
import { openFds } from "../os/open-fds.ts";
import {
  concat,
  mappings,
  pack,
  QEMU_VERSION,
  type RawClient,
  type Server,
  sendWithFds,
  startServer,
  tempFolder,
} from "./rig.ts";

let server: Server;
beforeAll(async () => {
  server = await startServer("--codec=null");
});
afterAll(() => server[Symbol.asyncDispose]());

const { CONFIG } = RegionIndex;
const EPERM = 1;
const EINVAL = 22;
const ENOTSUP = 95;
const MIB = 1 << 20;

const F_GETFL = 3;
const EFD_CLOEXEC = 0o2000000;
const blockingEventFd = () => new EventFd(new Fd(libc.eventfd(0, EFD_CLOEXEC)));

function expectUsable(client: RawClient): void {
  expect(client.read32(CONFIG, 0)).toBe(0x7022_10ee);
}

test("requests that make no sense are refused, and the connection goes on", () => {
  using client = server.connect().agree();
  const none = new Uint8Array(0);
  const read = (offset: number | bigint, region: number, count: number) => pack("844", offset, region, count);
  const top = 2n ** 64n;
  const refused: Record<string, [number, Uint8Array, number]> = {
    "an unknown command": [99, none, ENOTSUP],
    "command 0": [0, none, ENOTSUP],
    "a command for migration": [16, pack("44", 8, 0), ENOTSUP],
    "region 9's information": [Command.DEVICE_GET_REGION_INFO, pack("444488", 32, 0, 9, 0, 0, 0), EINVAL],
    "region information cut short": [Command.DEVICE_GET_REGION_INFO, pack("444", 32, 0, 0), EINVAL],
    "interrupt 5's information": [Command.DEVICE_GET_IRQ_INFO, pack("4444", 16, 0, 5, 0), EINVAL],
    "device information cut short": [Command.DEVICE_GET_INFO, pack("4", 16), EINVAL],
    "a read of region 9": [Command.REGION_READ, read(0, 9, 4), EINVAL],
    "a read of nothing of region 9": [Command.REGION_READ, read(0, 9, 0), EINVAL],
    "a read of region 2^32 - 1": [Command.REGION_READ, read(0, 0xffff_ffff, 4), EINVAL],
    "a read of a BAR that there is not": [Command.REGION_READ, read(0, 2, 4), EINVAL],
    "a read of VGA space": [Command.REGION_READ, read(0, 8, 4), EINVAL],
    "a read past registers' end": [Command.REGION_READ, read(4096, 0, 4), EINVAL],
    "a read over registers' end": [Command.REGION_READ, read(4094, 0, 4), EINVAL],
    "a read past the window's end": [Command.REGION_READ, read(8 * MIB, 1, 1), EINVAL],
    "a read past configuration space's end": [Command.REGION_READ, read(4096, CONFIG, 1), EINVAL],
    "a read at 2^64 - 4": [Command.REGION_READ, read(top - 4n, 0, 4), EINVAL],
    "a read at 2^64 - 4 of configuration space": [Command.REGION_READ, read(top - 4n, CONFIG, 8), EINVAL],
    "a read at 2^53 + 1": [Command.REGION_READ, read(2n ** 53n + 1n, 1, 4), EINVAL],
    "a read of the ROM at 2^63": [Command.REGION_READ, read(2n ** 63n, 6, 4), EINVAL],
    "a read of more than 1 MiB": [Command.REGION_READ, read(0, 1, MIB + 1), EINVAL],
    "a read of 4 GiB": [Command.REGION_READ, read(0, 1, 0xffff_ffff), EINVAL],
    "a read cut short": [Command.REGION_READ, pack("84", 0, 0), EINVAL],
    "a write of more than its data": [Command.REGION_WRITE, concat(read(0, 1, 8), pack("4", 0)), EINVAL],
    "a write of less than its data": [Command.REGION_WRITE, concat(read(0, 1, 2), pack("4", 0)), EINVAL],
    "a write cut short": [Command.REGION_WRITE, pack("84", 0, 0), EINVAL],
    "a write at 2^64 - 4": [Command.REGION_WRITE, concat(read(top - 4n, 1, 4), pack("4", 0)), EINVAL],
    "a write to region 9": [Command.REGION_WRITE, concat(read(0, 9, 4), pack("4", 0)), EINVAL],
    "a write of more than 1 MiB": [
      Command.REGION_WRITE,
      concat(read(0, 1, MIB + 8), new Uint8Array(MIB + 8)),
      EINVAL,
    ],
    "a mapping cut short": [Command.DMA_MAP, pack("448", 32, 3, 0), EINVAL],
    "an unmapping cut short": [Command.DMA_UNMAP, pack("448", 24, 0, 0), EINVAL],
    "an unmapping with a bitmap of dirty pages": [Command.DMA_UNMAP, pack("4488", 24, 1, 0, 0), ENOTSUP],
    "server's own commands": [Command.DMA_READ, pack("88", 0, 4), ENOTSUP],
  };
  for (const [what, [command, payload, errno]] of Object.entries(refused)) {
    const reply = client.request(command, payload);
    expect([what, reply.errno, reply.payload.byteLength]).toEqual([what, errno, 0]);
  }
  expectUsable(client);
  expect(client.read(1, 0, MIB)).toHaveLength(MIB);
});

test("interrupts that there are not, too few descriptors and impossible flags are refused", () => {
  using client = server.connect().agree();
  using event = new EventFd();
  const set = (flags: number, index: number, start: number, count: number, fds = 0) =>
    client.request(
      Command.DEVICE_SET_IRQS,
      pack("44444", 20, flags, index, start, count),
      Array(fds).fill(event.fd.number),
    ).errno;
  expect(set(0x24, IrqIndex.MSI, 0, 2, 2)).toBe(EINVAL);
  expect(set(0x24, IrqIndex.MSI, 1, 1, 1)).toBe(EINVAL);
  expect(set(0x24, IrqIndex.MSI, 0xffff_ffff, 1, 1)).toBe(EINVAL);
  expect(set(0x24, IrqIndex.MSI, 0, 0xffff_ffff, 1)).toBe(EINVAL);
  // QEMU sends no descriptor for a vector without a handler, which disarms it.
  expect(set(0x24, IrqIndex.MSI, 0, 1, 0)).toBe(0);
  expect(set(0x24, IrqIndex.MSI, 0, 1, 2)).toBe(EINVAL);
  expect(set(0x24, IrqIndex.MSIX, 0, 1, 1)).toBe(EINVAL);
  expect(set(0x21, IrqIndex.COUNT, 0, 0)).toBe(EINVAL);
  expect(set(0x21, 9, 0, 0)).toBe(EINVAL);
  expect(set(0x21, 0xffff_ffff, 0, 1)).toBe(EINVAL);
  expect(set(0x22, IrqIndex.MSI, 0, 1)).toBe(EINVAL);
  expect(set(0, IrqIndex.INTX, 0, 1)).toBe(EINVAL);
  expect(set(0x01, IrqIndex.INTX, 0, 1)).toBe(EINVAL);
  expect(set(0x31, IrqIndex.INTX, 0, 1)).toBe(EINVAL);
  expect(set(0x09, IrqIndex.MSI, 0, 1)).toBe(EINVAL);
  expect(client.request(Command.DEVICE_SET_IRQS, pack("44", 20, 0x21)).errno).toBe(EINVAL);
  expect(event.take()).toBe(0);
  expectUsable(client);
});

/** Turns an interrupt on for a descriptor; the errno of the answer. */
const arm = (client: RawClient, fd: number) =>
  client.request(Command.DEVICE_SET_IRQS, pack("44444", 20, 0x24, IrqIndex.MSI, 0, 1), [fd]).errno;

test("only eventfds are taken for interrupts: writing to anything else could wait for the client", () => {
  using folder = tempFolder();
  using client = server.connect().agree();
  const fifo = join(folder.path, "fifo");
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
  using pipe = openFile(fifo, O_RDWR);
  const [left, right] = socketPair();
  using socket = left;
  using _peer = right;
  using readOnly = openFile("/dev/null", O_RDONLY);
  using ram = createMemfd("ram", 4096);
  using file = openFile(import.meta.path, O_RDONLY);
  expectUsable(client);
  const before = openFds(server.pid);
  for (const fd of [pipe, socket, readOnly, ram, file]) expect(arm(client, fd.number)).toBe(EINVAL);
  expect(openFds(server.pid)).toBe(before);
  expectUsable(client);
});

/** Interrupts of all causes on, and one raised: START with registers all wrong changes the state, which is announced. */
function interrupt(client: RawClient): void {
  client.write(CONFIG, Config.COMMAND, pack("2", 6));
  client.write(0, registers.IRQ_ENABLE.offset, pack("4", 3));
  client.write(0, registers.COMMAND.offset, pack("4", 1));
}

test("an interrupt to a blocking eventfd whose counter is full waits for nobody, and the flags stay the client's", () => {
  using client = server.connect().agree();
  using event = blockingEventFd();
  const full = new BigUint64Array(new ArrayBuffer(8)).fill(2n ** 64n - 2n);
  expect(libc.write(event.fd.number, ptr(full), 8)).toBe(8);
  expect(arm(client, event.fd.number)).toBe(0);
  for (let i = 0; i < 20; i++) interrupt(client);
  expect(client.request(Command.DEVICE_SET_IRQS, pack("44444", 20, 0x21, IrqIndex.MSI, 0, 1)).errno).toBe(0);
  expectUsable(client);
  expect(libc.fcntl(event.fd.number, F_GETFL, 0) & O_NONBLOCK).toBe(0);
  // It was signalled: the counter has what a write could no longer have added.
  expect(event.take()).toBeGreaterThan(2 ** 64 - 2 ** 12);
  interrupt(client);
  expect(event.take()).toBeGreaterThan(0);
});

test("a client that fills a blocking eventfd again and again, just when it is signalled, holds nothing up", async () => {
  using client = server.connect().agree();
  using event = blockingEventFd();
  expect(arm(client, event.fd.number)).toBe(0);
  const program = new URL("eventfd-filler.ts", import.meta.url).pathname;
  const [ours, theirs] = socketPair();
  using turns = ours;
  await using _filler = Bun.spawn([process.execPath, program], {
    stdio: ["ignore", "ignore", "inherit", event.fd.number, theirs.number],
  });
  theirs[Symbol.dispose]();
  const turn = new Uint8Array(new ArrayBuffer(1));
  const readable = (fd: Fd, waitMs: number) =>
    poll([{ fd: fd.number, events: POLLIN }], waitMs)[0] === POLLIN;
  for (let i = 0; i < 2000; i++) {
    if (readable(event.fd, 0)) event.take();
    expect(libc.write(turns.number, ptr(turn), 1)).toBe(1);
    client.request(Command.DEVICE_SET_IRQS, pack("44444", 20, 0x21, IrqIndex.MSI, 0, 1));
    // If it was signalled first, it can't be filled before it is emptied again.
    if (!readable(turns, 1)) event.take();
    expect(readable(turns, 5000)).toBe(true);
    expect(libc.read(turns.number, ptr(turn), 1)).toBe(1);
  }
  expectUsable(client);
}, 30_000);

/** A header and no more; flags 0 is a request, 1 a reply. */
const header = (command: number, sizeBytes: number, flags = 0) =>
  pack("22444", 0, command, sizeBytes, flags, 0);
const version = (json: string) => concat(pack("22", 0, 0), new TextEncoder().encode(`${json}\0`));

const breakers: Record<string, (client: RawClient) => void> = {
  "a first message that is not VERSION": (client) =>
    client.send(Command.DEVICE_GET_INFO, pack("4444", 16, 0, 0, 0)),
  "a message that says it is 3 bytes long": (client) => client.stream.send(header(Command.VERSION, 3)),
  "a message that says it is 4 GiB long": (client) =>
    client.stream.send(header(Command.VERSION, 0xffff_fff0)),
  "bytes that are no message": (client) => client.stream.send(new Uint8Array(64).fill(0x5a)),
  HTTP: (client) => client.stream.send(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: model\r\n\r\n")),
  "another major version": (client) => client.send(Command.VERSION, concat(pack("22", 1, 0), pack("1", 0))),
  "a VERSION without a version": (client) => client.send(Command.VERSION),
  "a VERSION with broken JSON": (client) => client.send(Command.VERSION, version('{"cap')),
  "a VERSION with senseless capabilities": (client) =>
    client.send(Command.VERSION, version('{"capabilities":{"max_data_xfer_size":-1}}')),
  "a VERSION whose capability can't be made a string": (client) =>
    client.send(Command.VERSION, version('{"capabilities":{"max_msg_fds":{"toString":1,"valueOf":1}}}')),
  "a VERSION with a capability of 20,000 lists in lists": (client) =>
    client.send(
      Command.VERSION,
      version(`{"capabilities":{"max_msg_fds":${"[".repeat(20_000)}${"]".repeat(20_000)}}}`),
    ),
  "a VERSION of 500,000 opening brackets": (client) =>
    client.send(Command.VERSION, version("[".repeat(500_000))),
  "a VERSION whose capabilities are of every wrong type": (client) =>
    client.send(
      Command.VERSION,
      version('{"capabilities":{"max_msg_fds":"\\u001b[2J","max_data_xfer_size":[{}]}}'),
    ),
  "a reply to nothing": (client) => client.agree().stream.send(header(Command.DMA_READ, 16, 1)),
  "a message of 17 descriptors": (client) => {
    using event = new EventFd();
    sendWithFds(client.agree().stream.fd, header(Command.DEVICE_RESET, 16), Array(17).fill(event.fd.number));
  },
};

for (const [what, act] of Object.entries(breakers)) {
  test(`${what}: the connection ends, nothing is left open, and the next client is served`, () => {
    const before = fdsWhileServing();
    using client = server.connect();
    act(client);
    expect(client.dropped()).toBe(true);
    expect(fdsWhileServing()).toBe(before);
  });
}

/** Descriptors of the server while it serves a client that has asked for nothing yet. */
function fdsWhileServing(): number {
  using client = server.connect().agree();
  expectUsable(client);
  return openFds(server.pid);
}

test("half a header or half a message, and then no more: the next client is served", () => {
  const before = fdsWhileServing();
  const whole = concat(header(Command.VERSION, 16 + QEMU_VERSION.byteLength), QEMU_VERSION);
  for (const sizeBytes of [0, 1, 15, 16, 100, whole.byteLength - 1]) {
    using client = server.connect();
    using ram = createMemfd("ram", 4096);
    if (sizeBytes > 0) client.stream.send(whole.subarray(0, sizeBytes), [ram.number]);
    client[Symbol.dispose]();
    expect(fdsWhileServing()).toBe(before);
  }
});

test("a message that comes in single bytes is a message, with its descriptor on any of them", () => {
  using client = server.connect();
  using ram = createMemfd("ram", 8192);
  for (const byte of concat(header(Command.VERSION, 16 + QEMU_VERSION.byteLength), QEMU_VERSION))
    client.stream.send(new Uint8Array([byte]));
  expect(client.receive().errno).toBe(0);
  // The descriptor came along: by its file's size a mapping that is a page too long is refused, without one it is not.
  for (const withFd of [0, 15, 16, 47]) {
    const map = concat(header(Command.DMA_MAP, 48), pack("44888", 32, 3, 0, withFd << 16, 12288));
    for (const [i, byte] of map.entries())
      client.stream.send(new Uint8Array([byte]), i === withFd ? [ram.number] : []);
    expect(client.receive().errno).toBe(EINVAL);
  }
});

test("messages glued together in one chunk are answered one by one, in order", () => {
  using client = server.connect().agree();
  const read = (id: number) =>
    concat(pack("22444", id, Command.REGION_READ, 32, 0, 0), pack("844", id & 3, CONFIG, 1));
  const ids = Array.from({ length: 50 }, (_, i) => i + 1000);
  client.stream.send(concat(...ids.map(read)));
  for (const id of ids) {
    const { id: replied, payload } = client.receive();
    expect([replied, payload.getUint8(16)]).toEqual([id, [0xee, 0x10, 0x22, 0x70][id & 3]!]);
  }
});

test("descriptors that a message does not need are closed, also where it is refused", () => {
  using client = server.connect().agree();
  using event = new EventFd();
  using ram = createMemfd("ram", 1 << 16);
  const three = Array(3).fill(event.fd.number);
  expectUsable(client);
  const before = openFds(server.pid);
  client.request(Command.DEVICE_GET_INFO, pack("4444", 16, 0, 0, 0), three);
  client.request(Command.DEVICE_RESET, undefined, three);
  client.request(Command.REGION_READ, pack("844", 0, CONFIG, 4), three);
  client.request(99, undefined, three);
  client.request(Command.DMA_MAP, pack("44888", 32, 3, 0, 0, 1 << 20), [ram.number, ram.number]);
  client.request(Command.DEVICE_SET_IRQS, pack("44444", 20, 0x24, IrqIndex.MSI, 0, 1), three);
  client.request(Command.DEVICE_SET_IRQS, pack("44444", 20, 0x21, IrqIndex.MSI, 0, 0), three);
  client.send(Command.DMA_READ, undefined, three, true);
  expectUsable(client);
  expect(openFds(server.pid)).toBe(before);
  // A mapping needs its descriptor only until it is mapped; an interrupt keeps it.
  for (let i = 0; i < 16; i++) {
    const { errno } = client.request(Command.DMA_MAP, pack("44888", 32, 3, 0, i << 16, 1 << 16), [
      ram.number,
    ]);
    expect(errno).toBe(0);
  }
  expect(openFds(server.pid)).toBe(before);
  expect(mappings(server.pid, "memfd:ram")).toBe(1);
  client.request(Command.DMA_UNMAP, pack("4488", 24, 2, 0, 0));
  expect(mappings(server.pid, "memfd:ram")).toBe(0);
  for (let i = 0; i < 5; i++)
    client.request(Command.DEVICE_SET_IRQS, pack("44444", 20, 0x24, IrqIndex.MSI, 0, 1), [event.fd.number]);
  expect(openFds(server.pid)).toBe(before + 1);
});

test("requests that want no reply get none, whether carried out or refused", () => {
  using client = server.connect().agree();
  client.write(CONFIG, Config.COMMAND, pack("2", 2));
  const { offset } = registers.THREADS;
  const post = (command: number, payload?: Uint8Array) => client.send(command, payload, [], true);
  post(Command.REGION_WRITE, concat(pack("844", offset, 0, 4), pack("4", 11)));
  post(Command.REGION_WRITE, concat(pack("844", offset, 0, 1), pack("1", 12)));
  post(Command.REGION_WRITE, concat(pack("844", 1n << 60n, 0, 4), pack("4", 13)));
  post(Command.REGION_READ, pack("844", 0, 0, 4));
  post(Command.DEVICE_GET_INFO, pack("4444", 16, 0, 0, 0));
  post(Command.REGION_WRITE_MULTI, pack("8", 0));
  post(99);
  // The one reply that comes is this one's: request checks its id.
  expect(client.read32(0, offset)).toBe(11);
  expect(client.stream.readable(20)).toBe(false);
});

test("the second client finds the device as after power-on, whatever the first one left", () => {
  using ram = createMemfd("left-behind", 1 << 16);
  using event = new EventFd();
  {
    using first = server.connect().agree();
    first.write(CONFIG, Config.COMMAND, pack("2", 6));
    first.write(CONFIG, 0x3c, pack("1", 11));
    first.write(0, registers.THREADS.offset, pack("4", 3));
    first.write(0, registers.COMMAND.offset, pack("4", 1));
    first.write(1, 4096, new Uint8Array(64).fill(7));
    first.request(Command.DMA_MAP, pack("44888", 32, 3, 0, 0, 1 << 16), [ram.number]);
    first.request(Command.DEVICE_SET_IRQS, pack("44444", 20, 0x24, IrqIndex.MSI, 0, 1), [event.fd.number]);
    expect(mappings(server.pid, "left-behind")).toBe(1);
  }
  using second = server.connect().agree();
  expect(second.read32(CONFIG, Config.COMMAND)).toBe(0x0010_0000);
  expect(second.read32(CONFIG, 0x3c)).toBe(0x100);
  expect(mappings(server.pid, "left-behind")).toBe(0);
  second.write(CONFIG, Config.COMMAND, pack("2", 6));
  expect(second.read32(0, registers.THREADS.offset)).toBe(1);
  expect(second.read32(0, registers.STATUS.offset)).toBe(0);
  expect(second.read32(0, registers.ERROR.offset)).toBe(0);
  expect(second.read32(0, registers.IRQ_STATUS.offset)).toBe(0);
  expect([...second.read(1, 4096, 64)]).toEqual(Array(64).fill(0));
  second.request(Command.DEVICE_SET_IRQS, pack("44444", 20, 0x21, IrqIndex.MSI, 0, 1));
  expect(event.take()).toBe(0);
  const map = () => second.request(Command.DMA_MAP, pack("44888", 32, 3, 0, 0, 1 << 16), [ram.number]).errno;
  expect(map()).toBe(0);
});

/** The descriptor of BAR1's memory. */
function windowOf(client: RawClient): Fd {
  const { fds } = client.request(Command.DEVICE_GET_REGION_INFO, pack("444488", 32, 0, 1, 0, 0, 0));
  expect(fds).toHaveLength(1);
  return fds[0]!;
}

test("nobody can truncate BAR1's memory, nor forbid the server to clear it", () => {
  using client = server.connect().agree();
  using fd = windowOf(client);
  client.write(CONFIG, Config.COMMAND, pack("2", 2));
  const F_ADD_SEALS = 1033;
  const F_SEAL_FUTURE_WRITE = 16;
  expect(libc.ftruncate(fd.number, 0)).toBe(-1);
  expect(libc.ftruncate(fd.number, 16 * MIB)).toBe(-1);
  expect(libc.fcntl(fd.number, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)).toBe(-1);
  client.write(1, 8 * MIB - 4, pack("4", 0x1234));
  expect(client.read32(1, 8 * MIB - 4)).toBe(0x1234);
  expect(client.request(Command.DEVICE_RESET).errno).toBe(0);
  client.write(CONFIG, Config.COMMAND, pack("2", 2));
  expect(client.read32(1, 8 * MIB - 4)).toBe(0);
});

test("memory that the client can truncate is refused, and the connection goes on", () => {
  using client = server.connect().agree();
  using fd = looseMemfd("loose", MIB);
  const map = (ram: Fd) =>
    client.request(Command.DMA_MAP, pack("44888", 32, 3, 0, 0, MIB), [ram.number]).errno;
  expect(map(fd)).toBe(EPERM);
  truncate(fd);
  using sealed = createMemfd("sealed", MIB);
  expect(map(sealed)).toBe(0);
});

test("BAR1 is memory of its own for each client: who kept a descriptor sees and changes nothing of the next one's", () => {
  const kept: Fd[] = [];
  for (let i = 0; i < 3; i++) {
    using client = server.connect().agree();
    client.write(CONFIG, Config.COMMAND, pack("2", 2));
    expect(client.read32(1, 64)).toBe(0);
    kept.push(windowOf(client));
    client.write(1, 64, pack("4", 100 + i));
  }
  using last = server.connect().agree();
  last.write(CONFIG, Config.COMMAND, pack("2", 2));
  for (const [i, fd] of kept.entries()) {
    using old = mapShared(fd.number, 8 * MIB);
    old.bytes(64, 4).set(pack("4", 200 + i));
  }
  expect(last.read32(1, 64)).toBe(0);
  last.write(1, 64, pack("4", 300));
  for (const [i, fd] of kept.entries()) {
    using old = mapShared(fd.number, 8 * MIB);
    expect([...old.bytes(64, 4)]).toEqual([...pack("4", 200 + i)]);
    fd[Symbol.dispose]();
  }
  // What is mapped of an old one is given back.
  expect(mappings(server.pid, "model-bar1")).toBe(1);
});
