/**
 * Makes accesses of every width to three devices, once and in a hot loop, for whoever watches the bus from outside:
 * prints what it made as JSON lines, `{ device, base, offset, width (bits), write, count }`.
 */
import { openDevice, type Region } from "../../../src/index.ts";
import { readFunction } from "../../../src/pci/bus/functions.ts";
import { addressesOf, bindTo } from "./rig.ts";

/** Enough for the engine to compile the loop, and to compile it again, better. */
const HOT = 10_000;

type Width = 8 | 16 | 32 | 64;
const access = {
  8: {
    read: (region: Region, at: number) => region.read8(at),
    write: (region: Region, at: number) => region.write8(at, 0),
  },
  16: {
    read: (region: Region, at: number) => region.read16(at),
    write: (region: Region, at: number) => region.write16(at, 0),
  },
  32: {
    read: (region: Region, at: number) => region.read32(at),
    write: (region: Region, at: number) => region.write32(at, 0),
  },
  64: {
    read: (region: Region, at: number) => region.read64(at),
    write: (region: Region, at: number) => region.write64(at, 0n),
  },
} as const;

/** Offsets that take the width and do nothing else, and that no driver of the kernel uses. */
const plan: {
  device: "edu" | "nvme" | "pci-testdev";
  width: Width;
  cold: number;
  hot: number;
  writable: boolean;
}[] = [
  { device: "pci-testdev", width: 8, cold: 0x10, hot: 0x11, writable: false },
  { device: "nvme", width: 16, cold: 0x60, hot: 0x62, writable: false },
  { device: "nvme", width: 64, cold: 0x40, hot: 0x48, writable: true },
  { device: "edu", width: 32, cold: 0x04, hot: 0x08, writable: true },
  { device: "edu", width: 64, cold: 0x80, hot: 0x88, writable: true },
];

for (const { device: kind, width, cold, hot, writable } of plan) {
  const [address] = addressesOf(kind);
  await bindTo(address, "vfio-pci");
  const base = Number(readFunction(address).resources[0]!.start);
  using device = openDevice(address);
  const region = device.bars[0]!;
  if (!region.isMapped(cold, width / 8)) throw new Error(`BAR0 of ${kind} is not mapped`);
  const say = (offset: number, write: boolean, count: number) =>
    console.log(JSON.stringify({ device: kind, base, offset, width, write, count }));
  const { read, write } = access[width];
  read(region, cold);
  say(cold, false, 1);
  for (let i = 0; i < HOT; i++) read(region, hot);
  say(hot, false, HOT);
  if (!writable) continue;
  write(region, cold);
  say(cold, true, 1);
  for (let i = 0; i < HOT; i++) write(region, hot);
  say(hot, true, HOT);
}

// Copies are aligned words of 64 bits, one access each.
const [address] = addressesOf("nvme");
const base = Number(readFunction(address).resources[0]!.start);
using device = openDevice(address);
device.bars[0]!.copyOut(0x70, new Uint8Array(8));
console.log(JSON.stringify({ device: "nvme", base, offset: 0x70, width: 64, write: false, count: 1 }));
