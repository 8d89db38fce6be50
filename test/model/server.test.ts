/** Messages in the order in which QEMU 11.1.3 was seen to send them, and what the server must answer. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { EventFd } from "../../src/os/eventfd.ts";
import { createMemfd, mapShared } from "../../src/os/memory.ts";
import { Config } from "../../src/pci/config-offsets.ts";
import { IrqIndex, RegionIndex } from "../../src/protocol/vfio.ts";
import { Command } from "../../src/protocol/vfio-user.ts";
import { INTERFACE_MINOR, MAGIC, registers } from "../../src/vp9/contract/registers.ts";
import { concat, pack, QEMU_VERSION, type RawClient, type Server, startServer } from "./rig.ts";

let server: Server;
beforeAll(async () => {
  server = await startServer("--codec=null");
});
afterAll(() => server[Symbol.asyncDispose]());

const { CONFIG } = RegionIndex;
const RAM_BYTES = 0x2000_0000;
const EEXIST = 17;
const EPERM = 1;
const EINVAL = 22;

const mapPayload = (flags: number, offset: number, iova: number | bigint, size: number | bigint) =>
  pack("44888", 32, flags, offset, iova, size);
const unmapPayload = (iova: number | bigint, size: number | bigint, flags = 0) =>
  pack("4488", 24, flags, iova, size);
const irqPayload = (flags: number, index: number, start: number, count: number) =>
  pack("44444", 20, flags, index, start, count);
const words = (payload: DataView) =>
  Array.from({ length: payload.byteLength / 4 }, (_, i) => payload.getUint32(i * 4, true));

/** VERSION, and RAM of which a part shows in `fd`. */
function agree(client: RawClient): void {
  const { errno, payload } = client.request(Command.VERSION, QEMU_VERSION);
  expect(errno).toBe(0);
  expect(16 + payload.byteLength).toBeLessThanOrEqual(214);
  expect(words(payload)[0]).toBe(0);
  const text = new TextDecoder().decode(new Uint8Array(payload.buffer, 4));
  expect(text.endsWith("\0")).toBe(true);
  const { capabilities } = JSON.parse(text.slice(0, -1));
  expect(capabilities.max_msg_fds).toBeLessThanOrEqual(16);
  expect(capabilities.max_data_xfer_size).toBeLessThanOrEqual(64 << 20);
  expect(capabilities.max_data_xfer_size).toBeGreaterThanOrEqual(4096);
  expect(capabilities.max_dma_maps ?? 65535).toBeLessThanOrEqual(65535);
}

test("QEMU's way of realizing the device is answered as QEMU wants it", () => {
  using client = server.connect();
  using ram = createMemfd("ram", RAM_BYTES);
  using event = new EventFd();
  agree(client);

  const maps = [
    client.send(Command.DMA_MAP, mapPayload(3, 0, 0, RAM_BYTES), [ram.number]),
    client.send(Command.DMA_MAP, mapPayload(1, 0, 0xfffc_0000, 0x40000)),
  ];
  for (const id of maps) {
    const { id: replied, errno, payload } = client.receive();
    expect([replied, errno, payload.byteLength]).toEqual([id, 0, 0]);
  }

  const info = client.request(Command.DEVICE_GET_INFO, pack("4444", 16, 0, 0, 0));
  expect(words(info.payload)).toEqual([16, 3, 9, 5]);

  const sizes = [4096, 8 << 20, 0, 0, 0, 0, undefined, 4096];
  for (const index of [0, 1, 2, 3, 4, 5, CONFIG]) {
    const { payload, fds } = client.request(
      Command.DEVICE_GET_REGION_INFO,
      pack("444488", 32, 0, index, 0, 0, 0),
    );
    const size = sizes[index]!;
    expect(payload.byteLength).toBe(32);
    expect(words(payload)).toEqual([32, size === 0 ? 0 : index === 1 ? 7 : 3, index, 0, size, 0, 0, 0]);
    expect(fds).toHaveLength(index === 1 ? 1 : 0);
    for (const fd of fds) fd[Symbol.dispose]();
  }

  const irq = client.request(Command.DEVICE_GET_IRQ_INFO, pack("4444", 16, 0, IrqIndex.ERR, 0));
  expect(words(irq.payload)).toEqual([16, 1 | 8, IrqIndex.ERR, 1]);

  const config = client.read(CONFIG, 0, 4096);
  expect([...config.subarray(0, 4)]).toEqual([0xee, 0x10, 0x22, 0x70]);
  for (const data of [0xffff_f800, 0]) {
    expect(client.read32(CONFIG, 0x30)).toBe(0);
    expect(client.write(CONFIG, 0x30, pack("4", data))).toBe(0);
  }
  expect([client.read32(CONFIG, 0x10), client.read32(CONFIG, 0x14)]).toEqual([0, 0]);
  expect([...client.read(CONFIG, 0x92, 2)]).toEqual([0x80, 0]);
  expect([...client.read(CONFIG, Config.INTERRUPT_PIN, 1)]).toEqual([1]);
  const err = client.request(Command.DEVICE_SET_IRQS, irqPayload(0x24, IrqIndex.ERR, 0, 1), [
    event.fd.number,
  ]);
  expect([err.errno, err.payload.byteLength]).toEqual([0, 0]);

  expect([...client.read(CONFIG, Config.COMMAND, 2)]).toEqual([0, 0]);
  expect(client.write(CONFIG, Config.COMMAND, pack("2", 0))).toBe(0);
  expect([...client.read(CONFIG, 0x84, 2)]).toEqual([8, 0]);
  const reset = client.request(Command.DEVICE_RESET);
  expect([reset.errno, reset.payload.byteLength]).toEqual([0, 0]);
  for (let at = 0x10; at < 0x28; at += 4) expect(client.write(CONFIG, at, pack("4", 0))).toBe(0);

  // Firmware: RAM is unmapped and mapped in other pieces again and again, without waiting for a reply.
  const steps: [number, Uint8Array, boolean][] = [
    [Command.DMA_UNMAP, unmapPayload(0, RAM_BYTES), false],
    [Command.DMA_MAP, mapPayload(3, 0, 0, 0xc0000), true],
    [Command.DMA_MAP, mapPayload(1, 0, 0xc0000, 0x20000), false],
    [Command.DMA_MAP, mapPayload(1, 0, 0xe0000, 0x20000), false],
    [Command.DMA_MAP, mapPayload(3, 0x100000, 0x100000, 0x1ff0_0000), true],
    [Command.DMA_UNMAP, unmapPayload(0, 0xc0000), false],
    [Command.DMA_UNMAP, unmapPayload(0xc0000, 0x20000), false],
    [Command.DMA_UNMAP, unmapPayload(0xe0000, 0x20000), false],
    [Command.DMA_UNMAP, unmapPayload(0x100000, 0x1ff0_0000), false],
    [Command.DMA_MAP, mapPayload(3, 0, 0, RAM_BYTES), true],
  ];
  const ids = steps.map(([command, payload, fd]) => client.send(command, payload, fd ? [ram.number] : []));
  for (const [i, [command, payload]] of steps.entries()) {
    const reply = client.receive();
    expect([reply.id, reply.command, reply.errno]).toEqual([ids[i]!, command, 0]);
    const echo = new Uint8Array(reply.payload.buffer);
    expect(echo).toEqual(command === Command.DMA_UNMAP ? payload : new Uint8Array(0));
  }
});

test("MSI is armed and disarmed as QEMU does it, and an armed eventfd can be replaced", () => {
  using client = server.connect();
  agree(client);
  using first = new EventFd();
  using second = new EventFd();
  const set = (payload: Uint8Array, ...events: EventFd[]) =>
    client.request(
      Command.DEVICE_SET_IRQS,
      payload,
      events.map(({ fd }) => fd.number),
    ).errno;
  expect(client.write(CONFIG, 0x92, pack("2", 0x0181))).toBe(0);
  expect(set(irqPayload(0x24, IrqIndex.MSI, 0, 1), first)).toBe(0);
  // DATA_NONE with a count triggers: the way to see what is armed.
  expect(set(irqPayload(0x21, IrqIndex.MSI, 0, 1))).toBe(0);
  expect([first.take(), second.take()]).toEqual([1, 0]);
  expect(set(irqPayload(0x24, IrqIndex.MSI, 0, 1), second)).toBe(0);
  expect(set(irqPayload(0x21, IrqIndex.MSI, 0, 1))).toBe(0);
  expect([first.take(), second.take()]).toEqual([0, 1]);
  expect(set(irqPayload(0x21, IrqIndex.MSI, 0, 0))).toBe(0);
  expect(set(irqPayload(0x21, IrqIndex.MSI, 0, 1))).toBe(0);
  expect([first.take(), second.take()]).toEqual([0, 0]);
  // By booleans: 1 triggers, 0 does not.
  expect(set(irqPayload(0x24, IrqIndex.MSI, 0, 1), first)).toBe(0);
  for (const [bool, signals] of [
    [0, 0],
    [1, 1],
  ] as const) {
    expect(set(concat(irqPayload(0x22, IrqIndex.MSI, 0, 1), pack("1", bool)))).toBe(0);
    expect(first.take()).toBe(signals);
  }
});

test("a guest's FLR, a write to configuration space, resets registers, command and the window", () => {
  using client = server.connect();
  agree(client);
  client.write(CONFIG, Config.COMMAND, pack("2", 6));
  client.write(0, registers.THREADS.offset, pack("4", 7));
  client.write(1, 4096, pack("4", 0xdead_beef));
  expect([client.read32(0, registers.THREADS.offset), client.read32(1, 4096)]).toEqual([7, 0xdead_beef]);
  expect(client.write(CONFIG, 0xc8, pack("2", 0x802f))).toBe(0);
  expect(client.read32(CONFIG, Config.COMMAND)).toBe(0x0010_0000);
  expect(client.read32(CONFIG, 0xc8)).toBe(0x283e);
  client.write(CONFIG, Config.COMMAND, pack("2", 2));
  expect([client.read32(0, registers.THREADS.offset), client.read32(1, 4096)]).toEqual([1, 0]);
});

test("an unmap takes away every mapping wholly inside it, and finding none is no error", () => {
  using client = server.connect();
  agree(client);
  using ram = createMemfd("ram", 1 << 20);
  const map = (iova: number, size: number) =>
    client.request(Command.DMA_MAP, mapPayload(3, 0, iova, size), [ram.number]).errno;
  const unmap = (iova: number | bigint, size: number | bigint, flags = 0) =>
    client.request(Command.DMA_UNMAP, unmapPayload(iova, size, flags)).errno;
  const PIECE = 4096;
  const mapAll = () => Array.from({ length: 16 }, (_, i) => map((1 << 21) + i * PIECE, PIECE));
  const all = (errno: number) => Array(16).fill(errno);

  expect(unmap(0x1000, 0x1000)).toBe(0);
  expect(mapAll()).toEqual(all(0));
  expect(mapAll()).toEqual(all(EEXIST));
  // 2 MiB over all of them, as QEMU sends it.
  expect(unmap(1 << 21, 1 << 21)).toBe(0);
  expect(mapAll()).toEqual(all(0));
  // Less than any: nothing goes.
  expect(unmap((1 << 21) + 1, PIECE - 1)).toBe(0);
  expect(map(1 << 21, PIECE)).toBe(EEXIST);
  for (const [iova, size, flags] of [
    [0, 2n ** 47n, 0],
    [0, 2n ** 64n - 4096n, 0],
    [0, 0, 2],
  ] as const) {
    expect(unmap(iova, size, flags)).toBe(0);
    expect(mapAll()).toEqual(all(0));
  }
});

test("DMA mappings that can't be are refused, and the others stay", () => {
  using client = server.connect();
  agree(client);
  using ram = createMemfd("ram", 1 << 20);
  using event = new EventFd();
  const map = (payload: Uint8Array, ...fds: number[]) => client.request(Command.DMA_MAP, payload, fds).errno;
  expect(map(mapPayload(3, 0, 1 << 20, 1 << 20), ram.number)).toBe(0);
  for (const iova of [0x1f_f000, 0x10_0000, 0xf_f000])
    expect(map(mapPayload(3, 0, iova, 0x2000), ram.number)).toBe(EEXIST);
  // Without a descriptor there is nothing to reach, but the addresses are taken.
  expect(map(mapPayload(3, 0, 0, 0x10000))).toBe(0);
  expect(map(mapPayload(3, 0, 0xf000, 0x1000), ram.number)).toBe(EEXIST);
  // Past the file's end, no size, around the end of all addresses, of no file, not in pages.
  const far = 8 << 20;
  expect(map(mapPayload(3, 0x1000, far, 1 << 20), ram.number)).toBe(EINVAL);
  expect(map(mapPayload(3, 0, far, 0), ram.number)).toBe(EINVAL);
  expect(map(mapPayload(3, 0, 2n ** 64n - 4096n, 0x2000), ram.number)).toBe(EINVAL);
  expect(map(mapPayload(3, 0, far, 2n ** 64n - 4096n), ram.number)).toBe(EINVAL);
  expect(map(mapPayload(3, 0, far, 0x1000), event.fd.number)).toBe(EPERM);
  expect(map(mapPayload(3, 0, far, 0x1001), ram.number)).toBe(EINVAL);
  expect(map(mapPayload(3, 0, far + 2, 0x1000), ram.number)).toBe(EINVAL);
  expect(map(mapPayload(3, 2, far, 0x1000), ram.number)).toBe(EINVAL);
  expect(map(mapPayload(3, 0, far, 1 << 20), ram.number)).toBe(0);
});

test("memory that is mapped in BAR1 and memory in messages to BAR1 are the same", () => {
  using client = server.connect();
  agree(client);
  const { fds } = client.request(Command.DEVICE_GET_REGION_INFO, pack("444488", 32, 0, 1, 0, 0, 0));
  using fd = fds[0]!;
  using window = mapShared(fd.number, 8 << 20);
  client.write(CONFIG, Config.COMMAND, pack("2", 2));
  const data = Uint8Array.from({ length: 5000 }, (_, i) => i * 31);
  expect(client.write(1, 123, data)).toBe(0);
  expect(window.bytes(123, 5000)).toEqual(data);
  window.bytes(8_000_001, 3).set([1, 2, 3]);
  expect([...client.read(1, 8_000_000, 5)]).toEqual([0, 1, 2, 3, 0]);
  expect(client.read(1, (8 << 20) - 1, 1)).toHaveLength(1);
});

test("with memory decode off BARs read as all ones and writes are lost", () => {
  using client = server.connect();
  agree(client);
  const decode = (on: boolean) => client.write(CONFIG, Config.COMMAND, pack("2", on ? 2 : 0));
  decode(true);
  client.write(0, registers.THREADS.offset, pack("4", 5));
  client.write(1, 0, pack("4", 5));
  decode(false);
  for (const region of [0, 1]) expect([...client.read(region, 0, 8)]).toEqual(Array(8).fill(0xff));
  expect(client.write(0, registers.THREADS.offset, pack("4", 9))).toBe(0);
  expect(client.write(1, 0, pack("4", 9))).toBe(0);
  decode(true);
  expect([client.read32(0, registers.THREADS.offset), client.read32(1, 0)]).toEqual([5, 5]);
});

test("registers can be read in any width, and written in whole words only", () => {
  using client = server.connect();
  agree(client);
  client.write(CONFIG, Config.COMMAND, pack("2", 2));
  expect(client.read32(0, 0)).toBe(MAGIC);
  expect([0, 1, 2, 3].map((at) => client.read(0, at, 1)[0])).toEqual([0x56, 0x50, 0x39, 0x45]);
  expect([...client.read(0, 1, 2)]).toEqual([0x50, 0x39]);
  expect([...client.read(0, 2, 4)]).toEqual([0x39, 0x45, INTERFACE_MINOR, 0]);
  expect([...client.read(0, 0, 4096).subarray(0, 4)]).toEqual([0x56, 0x50, 0x39, 0x45]);
  const { offset } = registers.THREADS;
  for (const [at, width] of [
    [offset, 1],
    [offset, 2],
    [offset + 2, 4],
    [offset + 1, 1],
  ] as const)
    expect(client.write(0, at, new Uint8Array(width).fill(9))).toBe(EINVAL);
  expect(client.read32(0, offset)).toBe(1);
  // Two registers side by side in one write, as a 64-bit store arrives.
  expect(client.write(0, registers.SQ_LO.offset, pack("44", 0x40, 7))).toBe(0);
  expect([client.read32(0, registers.SQ_LO.offset), client.read32(0, registers.SQ_HI.offset)]).toEqual([
    0x40, 7,
  ]);
});
