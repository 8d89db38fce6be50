/** Models opened in this process. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openModel } from "../../src/exports/model.ts";
import { DeviceError, encodeFrames, openRegisters, type PciDevice } from "../../src/index.ts";
import vp9 from "../../src/vp9/model/vp9.model.ts";
import { CLIP_FRAMES } from "../media/rig.ts";
import { config, frames } from "../vp9/encoder/rig.ts";
import counter, { registers } from "./counter.model.ts";

setDefaultTimeout(30_000);

const log = () => {};
const io = (device: PciDevice) => openRegisters(registers, device.bars[0]!);

describe("a model in this process", () => {
  test("has its registers, its interrupt and the DMA that a served one has", async () => {
    using device = await openModel(counter, { options: { period: "1" }, log });
    const { IDENTITY, LIMIT, TARGET, CONTROL, COUNT, STATUS } = io(device);
    expect(IDENTITY.read()).toBe(0xc0de_0001);
    using msi = device.enableInterrupts("msi", 1)[0]!;
    using memory = device.allocateDma(4096, { addressBits: 32 });
    LIMIT.write(4);
    TARGET.write(memory.iova);
    CONTROL.write(1);
    expect(msi.wait(2000)).toBe(1);
    expect([COUNT.read(), STATUS.read(), memory.read32(0), device.bars[2]!.read8(0)]).toEqual([4, 1, 4, 4]);
    STATUS.clear(1);
    CONTROL.write(1);
    expect(await msi.waitAsync(2000)).toBe(1);
  });

  test("counts on while a driver polls it, and while it only waits", async () => {
    using device = await openModel(counter, { log });
    const { LIMIT, CONTROL, COUNT } = io(device);
    LIMIT.write(1_000_000);
    CONTROL.write(1);
    while (COUNT.read() < 5);
    // An access lets it count once; the rest it does while the program sleeps.
    for (let before = COUNT.read(), grown = 0; grown < 4; before += grown) {
      await Bun.sleep(20);
      grown = COUNT.read() - before;
    }
    device.reset();
    expect([COUNT.read(), LIMIT.read()]).toEqual([0, 10]);
  });

  test("interrupts by INTx until it is masked, and again when it is unmasked", async () => {
    using device = await openModel(counter, { log });
    using intx = device.enableInterrupts("intx", 1)[0]!;
    const { LIMIT, CONTROL, STATUS } = io(device);
    LIMIT.write(1);
    CONTROL.write(1);
    expect(intx.wait(2000)).toBe(1);
    device.unmaskIntx();
    expect(intx.wait(100)).toBe(1); // still asserted
    STATUS.clear(1);
    device.unmaskIntx();
    expect(intx.take()).toBe(0);
  });

  test("refuses what its model refuses, and is closed once", async () => {
    const lines: string[] = [];
    const device = await openModel(counter, { log: (line) => void lines.push(line) });
    expect(() => io(device).FAIL.write(1)).toThrow(DeviceError);
    expect(lines[0]).toContain("a write of 0x1 to FAIL failed: Error: told to");
    expect(() => device.enableInterrupts("msi", 2)).toThrow("counter: enable 2 vectors of msi: it has 1");
    device[Symbol.dispose]();
    device[Symbol.dispose]();
    expect(() => io(device).COUNT.read()).toThrow("it was closed");
    await expect(openModel(counter, { options: { speed: "1" } })).rejects.toThrow(
      'counter has no option "speed"; it has period',
    );
  });

  test("may be the VP9 endpoint, whose codec has threads of its own", async () => {
    using device = await openModel(vp9, { options: { codec: "null" }, log });
    let packets = 0;
    for await (const chunk of encodeFrames({ device }, config, frames))
      packets += Number(chunk.data.length > 0);
    expect(packets).toBe(CLIP_FRAMES);
  });
});
