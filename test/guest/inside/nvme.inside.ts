/** An NVMe controller, whose MSI-X table lies inside BAR0, through the kernel's VFIO; driver: docs/drivers/nvme.ts. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { identify } from "../../../docs/drivers/nvme.ts";
import { findMsixTable } from "../../../src/device/vfio/msix-table.ts";
import { openDevice, type PciDevice } from "../../../src/index.ts";
import { readFunction } from "../../../src/pci/bus/functions.ts";
import { addressesOf, bindTo } from "./rig.ts";

let device: PciDevice;

beforeAll(async () => {
  const [address] = addressesOf("nvme");
  await bindTo(address, "vfio-pci");
  device = openDevice(address);
});
afterAll(() => device[Symbol.dispose]());

test("Identify Controller answers through the admin queues, by DMA and one MSI-X", () => {
  const identity = identify(device);
  expect(identity).toMatchObject({ model: "QEMU NVMe Ctrl", serial: "vfiokit", interrupts: 1 });
  expect(identity.vendor).toBe(0x1b36);
});

test("it does so again: nothing was left behind", () => {
  expect(identify(device).model).toBe("QEMU NVMe Ctrl");
});

test("the MSI-X table is a hole in BAR0: what is around it is mapped, what is in it reads as ones", () => {
  const table = findMsixTable(device.config)!;
  const bar = device.bars[table.bar]!;
  expect(table.bar).toBe(0);
  expect(bar.isMapped(0, table.offset)).toBe(true);
  expect(bar.isMapped(table.offset + table.sizeBytes, 4)).toBe(true);
  expect(bar.isMapped(table.offset, 4)).toBe(false);
  expect(bar.isMapped(table.offset - 4, 8)).toBe(false);
  expect(bar.read32(table.offset)).toBe(0xffffffff);
  bar.write32(table.offset, 0);
  expect(bar.read32(table.offset)).toBe(0xffffffff);
});

test("BAR sizes are those that the kernel reports", () => {
  const { resources } = readFunction(device.spec);
  for (const [i, bar] of device.bars.entries()) {
    const { start, end } = resources[i]!;
    expect(bar.sizeBytes).toBe(end === 0n ? 0 : Number(end - start + 1n));
  }
});
