/** The faults of every model, on one that has none of its own: in this process, and behind a socket. */
import { describe, expect, test } from "bun:test";
import { openModel, type ServedModel, serveModel } from "../../src/exports/model.ts";
import { openDevice, type PciDevice } from "../../src/index.ts";
import { type Fault, FaultPlan } from "../../src/model/fault-injection.ts";
import faulty from "./models/faulty.model.ts";
import { until } from "./rig.ts";

const ONES = 0xffff_ffff;
const FILE = new URL("./models/faulty.model.ts", import.meta.url);
const log = () => {};

const ways = {
  "in this process": (fault: string) => openModel(faulty, { options: { fault }, log }),
  "behind a socket": async (fault: string) => {
    const url = new URL(FILE);
    url.search = `fault=${fault}`;
    served = await serveModel(url, { log });
    return openDevice(served.spec);
  },
};
let served: ServedModel | undefined;

describe.each(Object.keys(ways) as (keyof typeof ways)[])("%s", (way) => {
  /** The device, and how many interrupts came of a write to RING. */
  async function open(fault: string) {
    const device: PciDevice = await ways[way](fault);
    const msi = device.enableInterrupts("msi", 1)[0]!;
    const bar = device.bars[0]!;
    return {
      ...{ device, bar, msi },
      ring(value = 1): number {
        bar.write32(0, value);
        return msi.take();
      },
      async [Symbol.asyncDispose]() {
        device[Symbol.dispose]();
        await served?.[Symbol.asyncDispose]();
        served = undefined;
      },
    };
  }

  test("drop-interrupt, and drop-interrupt for a time", async () => {
    await using one = await open("drop-interrupt@2");
    expect([one.ring(), one.ring(), one.ring()]).toEqual([1, 0, 1]);
    await one[Symbol.asyncDispose]();
    await using long = await open("drop-interrupt@2=300");
    expect([long.ring(), long.ring(), long.ring(), long.ring()]).toEqual([1, 0, 0, 0]);
    await Bun.sleep(350);
    expect(long.ring()).toBe(1);
  });

  test("spurious-interrupt", async () => {
    await using one = await open("spurious-interrupt@2");
    expect([one.ring(), one.ring(), one.ring()]).toEqual([1, 2, 1]);
  });

  test("storm-interrupt goes on for its time", async () => {
    await using one = await open("storm-interrupt@1=200");
    let count = one.ring();
    const endMs = performance.now() + 150;
    while (performance.now() < endMs) {
      one.bar.read32(0);
      count += await one.msi.waitAsync(1);
    }
    expect(count).toBeGreaterThan(500);
    await Bun.sleep(200);
    await one.msi.waitAsync(1);
    expect(await one.msi.waitAsync(50)).toBe(0);
  });

  test("ones, until a reset, and for a time", async () => {
    await using one = await open("ones@2");
    one.ring();
    expect(one.bar.read32(0)).toBe(1);
    one.ring();
    expect(one.bar.read32(0)).toBe(ONES);
    one.device.reset();
    expect(one.bar.read32(0)).toBe(7);
    await one[Symbol.asyncDispose]();
    await using short = await open("ones@1=100");
    short.ring();
    expect(short.bar.read32(0)).toBe(ONES);
    await until("the registers", () => short.bar.read32(0) === 1);
  });

  test("self-reset leaves configuration space alone", async () => {
    await using one = await open("self-reset@2");
    one.ring(5);
    expect(one.bar.read32(0)).toBe(5);
    expect(one.ring(6)).toBe(0);
    await until("the reset", () => one.bar.read32(0) === 7);
    expect(one.device.config.read16(4) & 6).toBe(6);
  });

  test("config-error, until a reset", async () => {
    await using one = await open("config-error@2");
    one.ring();
    expect(one.device.config.read32(0)).toBe(0xfa17_1234);
    one.ring();
    expect(() => one.device.config.read32(0)).toThrow("EIO");
    expect(one.bar.read32(0)).toBe(1);
    one.device.reset();
    expect(one.device.config.read32(0)).toBe(0xfa17_1234);
  });

  test("unmapped-dma loses one access", async () => {
    await using one = await open("unmapped-dma@2");
    using memory = one.device.allocateDma(4096, { addressBits: 32 });
    one.bar.write32(4, memory.iova + 16);
    const written = [1, 2, 3].map((value) => {
      one.ring(value);
      one.bar.read32(0);
      return memory.bytes()[16];
    });
    expect(written).toEqual([1, 1, 3]);
  });
});

describe("a fault with a probability", () => {
  const strikesOf = (seed: number, at: number) => {
    const fault: Fault<"x"> = { kind: "x", at, forMs: 0, seed };
    const plan = new FaultPlan([fault]);
    return Array.from({ length: 10_000 }, () => plan.strike().size);
  };
  const count = (strikes: readonly number[]) => strikes.reduce((sum, one) => sum + one, 0);

  test("strikes about as often as it says, and the same events for the same seed", () => {
    expect(Math.abs(count(strikesOf(1, 0.1)) - 1000)).toBeLessThan(120);
    expect(Math.abs(count(strikesOf(2, 0.5)) - 5000)).toBeLessThan(250);
    expect(strikesOf(3, 0.1)).toEqual(strikesOf(3, 0.1));
    expect(strikesOf(3, 0.1)).not.toEqual(strikesOf(4, 0.1));
  });
});
