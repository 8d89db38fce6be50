/** QEMU's edu device through the kernel's VFIO, driven by examples/edu/edu.ts. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { ADDRESS_BITS, DMA_DONE, type Edu, openEdu } from "../../../examples/edu/edu.ts";
import { DeviceError, type Interrupt, openDevice, type PciDevice } from "../../../src/index.ts";
import { addressesOf, bindTo } from "./rig.ts";

/** Where a descriptor leads; "" for one that was closed meanwhile. */
const linkOf = (path: string) => {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
};

const MIB = 2 ** 20;

let device: PciDevice;
let edu: Edu;

beforeAll(async () => {
  const [address] = addressesOf("edu");
  await bindTo(address, "vfio-pci");
  device = openDevice(address);
  edu = openEdu(device);
});
afterAll(() => device[Symbol.dispose]());

test("the device is reached by VFIO and says who it is", () => {
  expect(device.reachedBy).toMatch(/^VFIO, IOMMU group \d+$/);
  expect(edu.identity).toBe(0x010000ed);
});

test("a register gives back the inverse of what was written", () => {
  edu.io.LIVENESS.write(0x12345678);
  expect(edu.io.LIVENESS.read()).toBe(~0x12345678 >>> 0);
});

test("factorials are computed by the device", () => {
  expect(edu.factorial(5)).toBe(120);
  expect(edu.factorial(12)).toBe(479_001_600);
});

test("DMA goes both ways, at addresses that the device's 28 bits reach", () => {
  using from = edu.allocate(4096);
  using to = edu.allocate(4096);
  for (const memory of [from, to])
    expect(memory.iova + memory.sizeBytes).toBeLessThanOrEqual(2 ** ADDRESS_BITS);
  from.bytes().set(Uint8Array.from({ length: 4096 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
  edu.store(from, 4096);
  expect(to.bytes().every((byte) => byte === 0)).toBe(true);
  edu.load(to, 4096);
  expect(to.bytes()).toEqual(from.bytes());
});

test("without its 28 bits in mind memory lies where the device does not reach", () => {
  using memory = device.allocateDma(4096);
  expect(memory.iova).toBeGreaterThanOrEqual(2 ** ADDRESS_BITS);
});

test("large memory is of transparent huge pages where none are set aside, and lies so that the IOMMU maps each whole", () => {
  const hugeKiB = () => {
    const rollup = readFileSync("/proc/self/smaps_rollup", "latin1");
    return Number(/^AnonHugePages:\s+(\d+) kB/m.exec(rollup)?.[1]);
  };
  const before = hugeKiB();
  using memory = device.allocateDma(9 * MIB, { pageBytes: 4096 });
  expect([memory.pageBytes, memory.sizeBytes, memory.iova % (2 * MIB)]).toEqual([4096, 9 * MIB, 0]);
  expect(hugeKiB() - before).toBeGreaterThanOrEqual(8 * 1024);
});

test("memory comes in the largest pages that suit and are left, and says which", () => {
  using huge = device.allocateDma(4 * MIB);
  expect([huge.pageBytes, huge.iova % (2 * MIB)]).toEqual([2 * MIB, 0]);
  // 8 pages of 2 MiB are set aside, and 2 of them taken.
  using small = device.allocateDma(32 * MIB);
  expect(small.pageBytes).toBe(4096);
  using gigantic = device.allocateDma(1024 * MIB);
  expect(gigantic.pageBytes).toBe(1024 * MIB);
  for (const memory of [huge, small, gigantic]) {
    memory.bytes(memory.sizeBytes - 8).fill(1);
    expect(memory.read32(memory.sizeBytes - 4)).toBe(0x01010101);
  }
});

test("addresses are given back, and lie within what the IOMMU translates", () => {
  const addressOf = () => {
    using memory = device.allocateDma(4096, { addressBits: 20 });
    return memory.iova;
  };
  expect(addressOf()).toBe(addressOf());
  // Every IOMMU keeps some of the lower 4 GiB for itself.
  expect(() => device.allocateDma(2 ** 32 - 2 ** 21, { addressBits: 32, pageBytes: 4096 })).toThrow(
    "bytes of addresses below 2^32 are left",
  );
});

test("every MSI is counted, each for what raised it", async () => {
  const [msi] = device.enableInterrupts("msi", 1) as [Interrupt];
  try {
    for (let i = 1; i <= 100; i++) {
      edu.io.INTERRUPT_RAISE.write(i);
      expect(msi.wait(5000)).toBe(1);
      expect(edu.io.INTERRUPT_STATUS.read()).toBe(i);
      edu.io.INTERRUPT_ACKNOWLEDGE.write(i);
    }
    using memory = edu.allocate(64);
    edu.store(memory, 64, 1);
    expect(await msi.waitAsync(5000)).toBe(1);
    expect(edu.io.INTERRUPT_STATUS.read()).toBe(DMA_DONE);
    edu.io.INTERRUPT_ACKNOWLEDGE.write(DMA_DONE);
    expect(await msi.waitAsync(50)).toBe(0);
  } finally {
    device.disableInterrupts("msi");
    msi[Symbol.dispose]();
  }
});

test("INTx strikes once until it is acknowledged and unmasked", () => {
  expect(device.interruptCount("intx")).toBe(1);
  const [intx] = device.enableInterrupts("intx", 1) as [Interrupt];
  try {
    for (let i = 1; i <= 10; i++) {
      edu.io.INTERRUPT_RAISE.write(1);
      expect(intx.wait(5000)).toBe(1);
      edu.io.INTERRUPT_RAISE.write(2);
      expect(intx.wait(20)).toBe(0);
      edu.io.INTERRUPT_ACKNOWLEDGE.write(3);
      device.unmaskIntx();
    }
    expect(intx.wait(20)).toBe(0);
  } finally {
    device.disableInterrupts("intx");
    intx[Symbol.dispose]();
  }
});

test("a vector too many is refused", () => {
  expect(() => device.enableInterrupts("msi", 2)).toThrow(DeviceError);
});

test("opened and closed 50 times nothing is left: descriptors, mappings, DMA memory that was forgotten", () => {
  device[Symbol.dispose]();
  const { spec } = device;
  const held = () => ({
    fds: readdirSync("/proc/self/fd")
      .map((fd) => linkOf(`/proc/self/fd/${fd}`))
      .filter((path) => /vfio|pci/.test(path)),
    maps: readFileSync("/proc/self/maps", "utf8")
      .split("\n")
      .filter((line) => /vfio|\/dev\/zero/.test(line)),
  });
  const before = held();
  expect(before).toEqual({ fds: [], maps: [] });
  for (let i = 0; i < 50; i++) {
    const again = openDevice(spec);
    again.allocateDma(2 ** 16);
    again.enableInterrupts("msi", 1);
    again[Symbol.dispose]();
    again[Symbol.dispose]();
    expect(() => again.bars[0]!.read32(0)).toThrow("the device is already closed");
    expect(() => again.config.read16(0)).toThrow("the device is already closed");
    expect(() => again.allocateDma(4096)).toThrow("the device is already closed");
  }
  expect(held()).toEqual(before);
  device = openDevice(spec);
  edu = openEdu(device);
});

test("a reset is refused where neither the function nor its bus has one", () => {
  expect(() => device.reset()).toThrow(
    new DeviceError(
      `${device.spec}: it can't be reset: it has no reset of its own, and the bus it is on has none either (ENODEV)`,
    ),
  );
});
