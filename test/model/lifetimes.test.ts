/** What a model's handlers, timers, descriptors and views outlive, and what they don't. */
import { describe, expect, test } from "bun:test";
import { defineModel, type ModelDevice, openModel, serveModel } from "../../src/exports/model.ts";
import { openDevice } from "../../src/index.ts";
import type { ModelHandlers } from "../../src/model/model-description.ts";
import { EventFd } from "../../src/os/eventfd.ts";

const registers = {
  GO: { offset: 0, mode: "rw", about: "Starts it" },
  LOG: { offset: 4, mode: "rw", about: "Decimal digits, each of an event" },
} as const;

type Device = ModelDevice<typeof registers>;
type Create = (device: Device) => ModelHandlers<typeof registers>;

const modelOf = (create: Create) =>
  defineModel({ title: "test", id: { vendor: 0x1234, device: 2 }, bars: [{ registers }], create });
const note = (device: Device, digit: number) => device.set("LOG", device.get("LOG") * 10 + digit);
const log = () => {};

describe("timers", () => {
  test("that are late act in the order in which they were due", async () => {
    const write = (device: Device) => () => {
      device.after(10, () => note(device, 2));
      device.after(5, () => note(device, 1));
    };
    using device = await openModel(modelOf((device) => ({ GO: { write: write(device) } })));
    device.bars[0]!.write32(0, 1);
    Bun.sleepSync(20);
    expect(device.bars[0]!.read32(4)).toBe(12);
  });

  test("that are due in weeks cost nothing until then", async () => {
    const write = (device: Device) => () => void device.after(2 ** 32, () => {});
    using device = await openModel(modelOf((device) => ({ GO: { write: write(device) } })));
    device.bars[0]!.write32(0, 1);
    // Of this thread: Bun's compilers and collectors may have work of other tests left.
    const before = process.threadCpuUsage();
    await Bun.sleep(300);
    const { user, system } = process.threadCpuUsage(before);
    expect(user + system).toBeLessThan(30_000);
  });
});

describe("descriptors", () => {
  test("are waited for, also if a handler asks for that", async () => {
    using bell = new EventFd();
    const write = (device: Device) => () =>
      device.onReadable(bell.fd.number, () => {
        bell.take();
        device.raise();
      });
    using device = await openModel(modelOf((device) => ({ GO: { write: write(device) } })));
    using msi = device.enableInterrupts("msi", 1)[0]!;
    device.bars[0]!.write32(0, 1);
    const waiting = msi.waitAsync(1000);
    bell.signal();
    expect(await waiting).toBe(1);
  });

  test("wake nothing after a reset that another one of them brought", async () => {
    using first = new EventFd();
    using second = new EventFd();
    let late = 0;
    const model = modelOf((device) => {
      let isOver = false;
      device.onReset(() => {
        isOver = true;
      });
      device.onReadable(first.fd.number, () => {
        first.take();
        device.reset();
      });
      device.onReadable(second.fd.number, () => {
        second.take();
        if (isOver) late++;
      });
      return {};
    });
    using device = await openModel(model);
    first.signal();
    second.signal();
    device.bars[0]!.read32(0);
    expect(late).toBe(0);
  });
});

describe("a reset", () => {
  test("that create or onReset asks for is an error, not another reset", async () => {
    await expect(
      openModel(
        modelOf((device) => {
          device.reset();
          return {};
        }),
        { log },
      ),
    ).rejects.toThrow("create or onReset calls reset");
    let created = 0;
    const lines: string[] = [];
    const model = modelOf((device) => {
      created++;
      device.onReset(() => device.reset());
      return {};
    });
    using device = await openModel(model, { log: (line) => void lines.push(line) });
    for (let i = 0; i < 3; i++) device.reset();
    expect([created, lines.length]).toEqual([4, 3]);
  });

  test("whose create gives no handlers leaves a device without them", async () => {
    const given = [{}, { GHOST: {} }, undefined, { GO: { read: () => 7 } }];
    const lines: string[] = [];
    using device = await openModel(
      modelOf(() => given.shift() as object),
      { log: (line) => void lines.push(line) },
    );
    const afterReset = () => {
      device.reset();
      return device.bars[0]!.read32(0);
    };
    expect([afterReset(), afterReset(), afterReset()]).toEqual([0, 0, 7]);
    expect(lines.map((line) => line.split("\n", 1)[0])).toEqual([
      "create failed: RangeError: create gives handlers of GHOST, which no table has; there are GO, LOG",
      "create failed: RangeError: create gives undefined; it must return the handlers",
    ]);
  });
});

test("INTA# that create asserts at a reset stays asserted", async () => {
  using device = await openModel(
    modelOf((device) => {
      device.raise();
      return {};
    }),
  );
  using intx = device.enableInterrupts("intx", 1)[0]!;
  intx.take();
  device.reset();
  expect([intx.take(), device.config.read16(6) & 8]).toEqual([1, 8]);
});

test("a create that is async is refused", async () => {
  const create = async () => ({ GO: {} });
  await expect(openModel(modelOf(create as unknown as Create))).rejects.toThrow("create gives a promise");
});

test("a vector that the device does not have can't be raised", async () => {
  const lines: string[] = [];
  using device = await openModel(
    modelOf((device) => ({ GO: { write: (vector) => device.raise(vector) } })),
    { log: (line) => void lines.push(line) },
  );
  expect(() => device.bars[0]!.write32(0, 1)).toThrow("EIO");
  expect(lines[0]).toContain("vector 1 is raised; the last one is 0");
});

test("a model in this process that an injected fault ends does nothing more", async () => {
  const write = (device: Device) => () => {
    device.raise();
    device.after(1, () => device.raise());
  };
  const model = modelOf((device) => ({ GO: { write: write(device) } }));
  using device = await openModel(model, { options: { fault: "die@1" } });
  using msi = device.enableInterrupts("msi", 1)[0]!;
  device.bars[0]!.write32(0, 1);
  expect(msi.wait(20)).toBe(0);
});

test("what create got of a memory BAR is the memory that the client maps, of each client", async () => {
  const { default: model } = await import("./memory-view.model.ts");
  {
    using device = await openModel(model);
    device.bars[0]!.write32(0, 5);
    expect(device.bars[1]!.read8(0)).toBe(5);
  }
  await using served = await serveModel(new URL("./memory-view.model.ts", import.meta.url));
  for (const value of [6, 7]) {
    using device = openDevice(served.spec);
    device.bars[0]!.write32(0, value);
    expect(device.bars[1]!.read8(0)).toBe(value);
  }
});

test("a memory BAR that no array holds says so", async () => {
  const lines: string[] = [];
  const model = defineModel({
    title: "large",
    id: { vendor: 0x1234, device: 2 },
    bars: [{ registers }, undefined, { memoryBytes: 2 ** 33, addressBits: 64 }],
    create: (device) => ({ GO: { write: () => void device.memory(2) } }),
  });
  using device = await openModel(model, { log: (line) => void lines.push(line) });
  expect(() => device.bars[0]!.write32(0, 1)).toThrow("EIO");
  expect(lines[0]).toContain("BAR2 has more than 4 GiB, which no array holds; holdBar gives parts of it");
});
