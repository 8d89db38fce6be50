/** A device that reaches memory by messages, and one with more vectors than a message carries descriptors. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { DeviceError, type Interrupt, type PciDevice } from "../../../src/device/device.ts";
import { openDevice } from "../../../src/device/open.ts";
import { tempFolder } from "../../media/rig.ts";
import { Register } from "./message-device.ts";

setDefaultTimeout(30_000);

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
let servers = 0;

interface Served extends AsyncDisposable {
  readonly device: PciDevice;
  /** Ends the server and returns what it printed. */
  lines(): Promise<string[]>;
}

/** A server of its own, and the device behind it. */
async function serve(maxMsgFds?: number): Promise<Served> {
  const socket = folder.file(`message-${++servers}`);
  const limit = maxMsgFds === undefined ? [] : [String(maxMsgFds)];
  const server = Bun.spawn([process.execPath, join(import.meta.dir, "message-device.ts"), socket, ...limit], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = server.stdout.getReader();
  let printed = "";
  const read = async () => {
    const { value, done } = await output.read();
    printed += new TextDecoder().decode(value);
    return !done;
  };
  while (!printed.includes("ready\n")) await read();
  const device = openDevice(`vfio-user:${socket}`);
  const close = async () => {
    device[Symbol.dispose]();
    server.kill();
    while (await read());
    await server.exited;
  };
  return {
    device,
    lines: async () => {
      await close();
      return printed.trimEnd().split("\n").slice(1);
    },
    [Symbol.asyncDispose]: close,
  };
}

type Wait = (interrupt: Interrupt) => number | Promise<number>;
const waits: [name: string, wait: Wait][] = [
  ["waits for the interrupt, blocking", (interrupt) => interrupt.wait(10_000)],
  ["waits for the interrupt on the event loop", (interrupt) => interrupt.waitAsync(10_000)],
  [
    "sleeps, and takes the interrupt in between",
    async (interrupt) => {
      for (let round = 0; round < 1000; round++) {
        const count = interrupt.take();
        if (count > 0) return count;
        await Bun.sleep(10);
      }
      return 0;
    },
  ],
];

describe("A device's messages for memory are carried out while the program", () => {
  for (const [name, wait] of waits) {
    for (const pages of [1, 200]) {
      test(`${name}: ${pages} pages written, each answered`, async () => {
        await using served = await serve(16);
        const { device } = served;
        const memory = device.allocateDma(pages * 4096);
        const [interrupt] = device.enableInterrupts("msix", 1);
        const [bar] = device.bars;
        bar!.write64(Register.ADDRESS, BigInt(memory.iova));
        bar!.write32(Register.PAGES, pages);
        bar!.write32(Register.WRITE, 1);
        expect(await wait(interrupt!)).toBe(1);
        const firsts = Array.from({ length: pages }, (_, page) => memory.bytes(page * 4096, 1)[0]);
        expect(firsts).toEqual(Array.from({ length: pages }, (_, page) => (page + 1) & 0xff));
        expect(bar!.read32(Register.PAGES)).toBe(pages);
      });
    }

    test(`${name}: pages written without an answer are there when the interrupt is`, async () => {
      await using served = await serve(16);
      const { device } = served;
      const memory = device.allocateDma(8 * 4096);
      const [interrupt] = device.enableInterrupts("msix", 1);
      const [bar] = device.bars;
      bar!.write64(Register.ADDRESS, BigInt(memory.iova));
      bar!.write32(Register.PAGES, 8);
      bar!.write32(Register.POST, 1);
      expect(await wait(interrupt!)).toBe(1);
      expect(Array.from({ length: 8 }, (_, page) => memory.bytes(page * 4096 + 4095, 1)[0])).toEqual([
        1, 2, 3, 4, 5, 6, 7, 8,
      ]);
    });

    test(`${name}: memory read`, async () => {
      await using served = await serve(16);
      const { device } = served;
      const memory = device.allocateDma(4096);
      memory.write64(8, 0x1122_3344_5566_7788n);
      const [, interrupt] = device.enableInterrupts("msix", 2);
      const [bar] = device.bars;
      bar!.write64(Register.ADDRESS, BigInt(memory.iova + 8));
      bar!.write32(Register.READ, 1);
      expect(await wait(interrupt!)).toBe(1);
      expect(bar!.read64(Register.RESULT)).toBe(0x1122_3344_5566_7788n);
    });
  }

  test("polls the memory and sleeps", async () => {
    await using served = await serve(16);
    const { device } = served;
    const memory = device.allocateDma(4096);
    const [bar] = device.bars;
    bar!.write64(Register.ADDRESS, BigInt(memory.iova));
    bar!.write32(Register.PAGES, 1);
    bar!.write32(Register.WRITE, 1);
    for (let round = 0; round < 1000 && memory.read32(0) === 0; round++) await Bun.sleep(10);
    expect(memory.read32(0)).toBe(0x0101_0101);
  });
});

test("a wait whose server ends returns 0 at its time, and the next request says that the server is gone", async () => {
  for (const wait of [(i: Interrupt) => i.wait(300), (i: Interrupt) => i.waitAsync(300)]) {
    await using served = await serve(16);
    const { device } = served;
    device.allocateDma(4096);
    const [interrupt] = device.enableInterrupts("msix", 1);
    expect(() => device.bars[0]!.write32(Register.DIE, 1)).toThrow(DeviceError);
    expect(await wait(interrupt!)).toBe(0);
    expect(() => device.bars[0]!.read32(0)).toThrow("the server disconnected");
  }
});

describe("Vectors are enabled in as many messages as the server's max_msg_fds asks for", () => {
  const counts = [1, 8, 9, 16, 32];
  for (const [limit, sizes] of [
    [16, [[1], [8], [9], [16], [16, 16]]],
    [8, [[1], [8], [8, 1], [8, 8], [8, 8, 8, 8]]],
    [64, [[1], [8], [9], [16], [16, 16]]],
    [undefined, counts.map((count) => Array<number>(count).fill(1))],
  ] as const) {
    test(`max_msg_fds ${limit ?? "is absent, so 1"}: ${counts.join(", ")} vectors, each with a signal of its own`, async () => {
      await using served = await serve(limit);
      const { device } = served;
      for (const count of counts) {
        const interrupts = device.enableInterrupts("msix", count);
        expect(interrupts).toHaveLength(count);
        for (let vector = 0; vector < count; vector++) device.bars[0]!.write32(Register.TRIGGER, vector);
        expect(interrupts.map((interrupt) => interrupt.wait(10_000))).toEqual(Array(count).fill(1));
      }
      const messages = sizes.map((parts) => {
        let start = 0;
        return parts.map((size) => {
          start += size;
          return `SET_IRQS ${start - size} ${size} ${size}`;
        });
      });
      const off = "SET_IRQS 0 0 0";
      expect(await served.lines()).toEqual(messages.flatMap((lines) => [...lines, off]));
    });
  }

  test("none is enabled where the server refuses some of them", async () => {
    await using served = await serve(16);
    const { device } = served;
    const before = device.enableInterrupts("msix", 20);
    expect(() => device.enableInterrupts("msix", 33)).toThrow("the server refused DEVICE_SET_IRQS: EINVAL");
    expect(() => before[0]!.take()).toThrow("closed");
    const [again] = device.enableInterrupts("msix", 1);
    device.bars[0]!.write32(Register.TRIGGER, 0);
    expect(again!.wait(10_000)).toBe(1);
    expect((await served.lines()).slice(2)).toEqual([
      "SET_IRQS 0 0 0",
      "SET_IRQS 0 16 16",
      "SET_IRQS 16 16 16",
      "SET_IRQS 32 1 1",
      "SET_IRQS 0 0 0",
      "SET_IRQS 0 1 1",
      "SET_IRQS 0 0 0",
    ]);
  });

  test("a server that takes no descriptors can't interrupt, and is told of memory without one", async () => {
    await using served = await serve(0);
    const { device } = served;
    expect(() => device.enableInterrupts("msix", 1)).toThrow("max_msg_fds is 0");
    const memory = device.allocateDma(4096);
    const [bar] = device.bars;
    bar!.write64(Register.ADDRESS, BigInt(memory.iova));
    bar!.write32(Register.PAGES, 1);
    bar!.write32(Register.WRITE, 1);
    for (let round = 0; round < 1000 && memory.read32(0) === 0; round++) await Bun.sleep(10);
    expect(memory.read32(0)).toBe(0x0101_0101);
  });
});
