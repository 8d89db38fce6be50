/** What becomes of an open device that the kernel asks back; the ways to open one share it. */
import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { openDevice, type PciDevice } from "../../../src/index.ts";
import { release } from "../../../src/pci/bus/binding.ts";
import { readFunction } from "../../../src/pci/bus/functions.ts";
import { messageOf } from "./rig.ts";

/** The kernel asks again after 10 s, which would be too late. */
const SOON_MS = 5000;

/** Unbinds a function from vfio-pci as any program may. Resolves with the time that the unbinding took. */
export async function unbindElsewhere(address: string): Promise<number> {
  const startMs = performance.now();
  const path = "/sys/bus/pci/drivers/vfio-pci/unbind";
  await using shell = Bun.spawn(["sh", "-c", `echo ${address} > ${path}`], { stderr: "inherit" });
  expect(await shell.exited).toBe(0);
  return performance.now() - startMs;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // the descriptor that lists them
  }
}

/** Files of VFIO and of PCI functions that this process has open or mapped. */
const held = () =>
  [
    ...readdirSync("/proc/self/fd").map((fd) => linkOf(`/proc/self/fd/${fd}`)),
    ...readFileSync("/proc/self/maps", "utf8").split("\n"),
  ].filter((name) => /vfio[-/]|iommu|pci/.test(name));

export const askedBack = (spec: string) =>
  `${spec}: the kernel asked for the device back, for its removal or another driver, so it was closed; bun run list.ts shows what has become of it`;

/** Each call that reaches a device, except dispose. */
const calls = (device: PciDevice): (() => unknown)[] => [
  () => device.config.read16(0),
  () => device.config.write8(0x3c, 0),
  () => device.bars[0]!.read32(0),
  () => device.bars[0]!.write32(0x24, 0),
  () => device.bars[0]!.isMapped(0, 4),
  () => device.bars[0]!.copyOut(0, new Uint8Array(8)),
  () => device.interruptCount("msix"),
  () => device.enableInterrupts("msix", 1),
  () => device.disableInterrupts("msix"),
  () => device.unmaskIntx(),
  () => device.allocateDma(4096),
  () => device.reset(),
];

/**
 * Opens the NVMe controller at `address` by `spec`, waits for timers while another process unbinds it from vfio-pci, and gives it to
 * its own driver, if the kernel has that.
 */
export async function losesItToItsDriver(
  address: string,
  spec: string,
  driver: "nvme" | undefined,
): Promise<void> {
  const before = held();
  const device = openDevice(spec);
  const [memory, other] = [device.allocateDma(4096), device.allocateDma(2 ** 21)];
  const view = memory.bytes();
  view.fill(7);
  const [interrupt] = device.enableInterrupts("msix", 2);
  const waiting = interrupt!.waitAsync(Number.POSITIVE_INFINITY);

  expect(await unbindElsewhere(address)).toBeLessThan(SOON_MS);
  expect(readFunction(address).driver).toBeUndefined();
  expect(await waiting).toBe(0);
  for (const call of calls(device)) expect(messageOf(call)).toBe(askedBack(spec));
  expect(messageOf(() => interrupt!.take())).toBe(askedBack(spec));
  expect(held()).toEqual(before);

  await release(address, { force: false });
  expect(readFunction(address).driver).toBe(driver);
  while (driver && !existsSync(`/sys/bus/pci/devices/${address}/nvme`)) await Bun.sleep(10);
  // The program may still look at what the device wrote, until it gives that back.
  expect(view.every((byte) => byte === 7)).toBe(true);
  memory.write32(0, 1);
  expect(memory.read32(0)).toBe(1);
  other[Symbol.dispose]();
  expect(() => other.read32(0)).toThrow(RangeError);
  const kept = memory.detach();
  device[Symbol.dispose]();
  device[Symbol.dispose]();
  expect(view[4095]).toBe(7);
  kept[Symbol.dispose]();
  expect(() => memory.bytes()).toThrow("already unmapped");
  expect(messageOf(() => device.config.read16(0))).toBe(askedBack(spec));
}
