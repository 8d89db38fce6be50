/** DMA of a model: to memory that the client shares, and by messages to memory that it does not. */
import { afterAll, describe, expect, test } from "bun:test";
import { openDevice, openRegisters, type PciDevice } from "../../src/index.ts";
import { openModel } from "../../src/model/in-process.ts";
import { Disconnected } from "../../src/os/socket.ts";
import { RegionIndex } from "../../src/protocol/vfio.ts";
import { Command } from "../../src/protocol/vfio-user.ts";
import model, { registers } from "./copier.model.ts";
import { concat, pack, RawClient, type Server, startServer } from "./rig.ts";

const file = new URL("./copier.model.ts", import.meta.url).pathname;
const TRANSFERS = 1000;

describe.each<[string, () => Promise<PciDevice>]>([
  ["in this process", () => openModel(model)],
  ["mapped", async () => openDevice(`model:${file}`)],
  ["by message", async () => openDevice(`model:${file}`, { shareMemory: false })],
])("%s", (_, open) => {
  const opened = open();
  afterAll(async () => (await opened)[Symbol.dispose]());

  test(`${TRANSFERS} transfers of 1 to 5,000 bytes arrive, each before its interrupt`, async () => {
    const device = await opened;
    const { SOURCE, DESTINATION, COUNT, DONE, FAILED } = openRegisters(registers, device.bars[0]!);
    using source = device.allocateDma(8192);
    using destination = device.allocateDma(8192);
    using msi = device.enableInterrupts("msi", 1)[0]!;
    const bytes = source.bytes();
    for (let i = 0; i < bytes.byteLength; i++) bytes[i] = (i * 7) & 0xff;
    const wrong: number[] = [];
    for (let i = 0; i < TRANSFERS; i++) {
      const sizeBytes = 1 + ((i * 37) % 5000);
      bytes[0] = i & 0xff;
      destination.bytes(0, 8192).fill(0xee);
      SOURCE.write(source.iova);
      DESTINATION.write(destination.iova + (i % 64));
      COUNT.write(sizeBytes);
      if (msi.wait(2000) !== 1) throw new Error(`no interrupt after transfer ${i}`);
      const got = destination.bytes(i % 64, sizeBytes);
      const same = Buffer.compare(got, source.bytes(0, sizeBytes)) === 0;
      if (!same || destination.bytes((i % 64) + sizeBytes, 1)[0] !== 0xee) wrong.push(i);
    }
    expect(wrong).toEqual([]);
    expect([DONE.read(), FAILED.read()]).toEqual([TRANSFERS, 0]);
  }, 60_000);

  test("more than a message holds goes in pieces", async () => {
    const device = await opened;
    const { SOURCE, DESTINATION, COUNT, FAILED } = openRegisters(registers, device.bars[0]!);
    const sizeBytes = 3 * 2 ** 20 + 5;
    using source = device.allocateDma(sizeBytes);
    using destination = device.allocateDma(sizeBytes);
    crypto.getRandomValues(source.bytes(0, 65_536));
    source.bytes().copyWithin(2 ** 21, 0, 65_536);
    SOURCE.write(source.iova);
    DESTINATION.write(destination.iova);
    COUNT.write(sizeBytes);
    expect(Buffer.compare(destination.bytes(0, sizeBytes), source.bytes(0, sizeBytes))).toBe(0);
    expect(FAILED.read()).toBe(0);
  });

  test("one that spans two allocations arrives", async () => {
    const device = await opened;
    const { SOURCE, DESTINATION, COUNT, FAILED } = openRegisters(registers, device.bars[0]!);
    using lower = device.allocateDma(4096);
    using upper = device.allocateDma(4096);
    using destination = device.allocateDma(8192);
    expect(upper.iova).toBe(lower.iova + 4096);
    lower.bytes().fill(1);
    upper.bytes().fill(2);
    const before = FAILED.read();
    SOURCE.write(lower.iova);
    DESTINATION.write(destination.iova);
    COUNT.write(8192);
    expect([FAILED.read() - before, ...destination.bytes(4095, 2)]).toEqual([0, 1, 2]);
  });

  test("an address that is not mapped fails the transfer, and is logged by AER; bus mastering off fails all", async () => {
    const device = await opened;
    const { SOURCE, DESTINATION, COUNT, FAILED } = openRegisters(registers, device.bars[0]!);
    const before = FAILED.read();
    device.config.write32(0x104, 0xffff_ffff);
    SOURCE.write(0x1234_5678_0000n);
    DESTINATION.write(0x1234_5678_0000n);
    COUNT.write(16);
    expect([FAILED.read() - before, device.config.read32(0x104)]).toEqual([1, 1 << 20]);
    using memory = device.allocateDma(4096);
    SOURCE.write(memory.iova);
    DESTINATION.write(memory.iova);
    const command = device.config.read16(4);
    device.config.write16(4, command & ~4);
    COUNT.write(16);
    expect(FAILED.read() - before).toBe(2);
    device.config.write16(4, command);
    COUNT.write(16);
    expect(FAILED.read() - before).toBe(2);
  });
});

test("writes that are posted and DMA by messages do not wait for each other for ever", () => {
  using device = openDevice(`model:${file}`, { shareMemory: false, postWrites: true });
  const { SOURCE, DESTINATION, COUNT, DONE } = openRegisters(registers, device.bars[0]!);
  using memory = device.allocateDma(4096);
  SOURCE.write(memory.iova);
  DESTINATION.write(memory.iova);
  for (let i = 0; i < 5000; i++) COUNT.write(16);
  expect(DONE.read()).toBe(5000);
}, 30_000);

/** A client that connects by hand, with a page at address 0 that it does not share. */
function connect(server: Server): RawClient {
  const client = server.connect().agree();
  client.write(RegionIndex.CONFIG, 4, pack("2", 6)); // memory and bus mastering
  expect(client.request(Command.DMA_MAP, pack("44888", 32, 3, 0n, 0n, 4096n)).errno).toBe(0);
  client.write(0, registers.SOURCE.offset, pack("8", 0n));
  client.write(0, registers.DESTINATION.offset, pack("8", 0n));
  return client;
}

const START = pack("8444", BigInt(registers.COUNT.offset), 0, 4, 16);
const READ_FAILED = pack("844", BigInt(registers.FAILED.offset), 0, 4);
const HEAD = pack("88", 0n, 16n);

describe("a client that", () => {
  const served = startServer(file);
  afterAll(async () => (await served)[Symbol.asyncDispose]());

  test("sends requests before its answer has them answered after it, in order", async () => {
    using client = connect(await served);
    client.send(Command.REGION_WRITE, START);
    const read = client.receiveRequest();
    expect(read.command).toBe(Command.DMA_READ);
    client.send(Command.REGION_READ, READ_FAILED);
    client.answer(read, concat(HEAD, new Uint8Array(16).fill(0x5a)));
    const write = client.receiveRequest();
    expect([write.command, write.payload.getUint8(16), write.payload.getUint8(31)]).toEqual([
      Command.DMA_WRITE,
      0x5a,
      0x5a,
    ]);
    client.answer(write, HEAD);
    expect([client.receive().command, client.receive().command]).toEqual([
      Command.REGION_WRITE,
      Command.REGION_READ,
    ]);
    expect(client.read32(0, registers.DONE.offset)).toBe(1);
  });

  test("refuses fails the transfer only", async () => {
    using client = connect(await served);
    client.send(Command.REGION_WRITE, START);
    client.answer(client.receiveRequest(), new Uint8Array(), 14);
    expect(client.receive().errno).toBe(0);
    expect(client.read32(0, registers.FAILED.offset)).toBe(1);
  });

  test.each<[string, (client: RawClient) => void]>([
    [
      "answers another request",
      (client) => client.answer({ ...client.receiveRequest(), id: 77 }, concat(HEAD, new Uint8Array(16))),
    ],
    [
      "answers too little",
      (client) => client.answer(client.receiveRequest(), concat(HEAD, new Uint8Array(3))),
    ],
    [
      "goes on asking",
      (client) => {
        client.receiveRequest();
        expect(() => {
          for (let i = 0; i < 5000; i++) client.send(Command.REGION_READ, READ_FAILED);
        }).toThrow(Disconnected);
      },
    ],
    ["disconnects", (client) => client[Symbol.dispose]()],
  ])("%s is dropped, and the next one is served", async (_, act) => {
    {
      using client = connect(await served);
      client.send(Command.REGION_WRITE, START);
      act(client);
    }
    using next = connect(await served);
    expect(next.read32(0, registers.FAILED.offset)).toBe(0);
  });

  test("never answers is dropped after 5 s, and the next one is served", async () => {
    using client = connect(await served);
    client.send(Command.REGION_WRITE, START);
    client.receiveRequest();
    using next = new RawClient((await served).connect().stream.fd);
    await Bun.sleep(5500);
    expect(next.agree().read32(RegionIndex.CONFIG, 0)).toBe(0xc0b1_1234);
  }, 10_000);
});
