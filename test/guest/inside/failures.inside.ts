/** What users of VFIO stumble over, provoked for real: the message says what, why, and what to do. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, chownSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { openGroup } from "../../../src/device/vfio/group.ts";
import { readRegionInfo, regionTransfers } from "../../../src/device/vfio/regions.ts";
import { openDevice } from "../../../src/index.ts";
import { release } from "../../../src/pci/bus/binding.ts";
import { openConfigFile } from "../../../src/pci/bus/config-file.ts";
import { readFunction } from "../../../src/pci/bus/functions.ts";
import { Command, Config } from "../../../src/pci/config-offsets.ts";
import { RegionIndex } from "../../../src/protocol/vfio.ts";
import { addressesOf, bindTo, messageOf } from "./rig.ts";

const [edu] = addressesOf("edu");
const [nvme] = addressesOf("nvme");
const [testdev] = addressesOf("pci-testdev");
const NOBODY = 65534;
let group: string;

const program = join(import.meta.dir, "try.ts");
const attempt = (...words: string[]) =>
  Bun.spawn([process.execPath, program, ...words], { stdin: "pipe", stderr: "inherit" });
const outcome = async (...words: string[]) => (await new Response(attempt(...words).stdout).text()).trim();

beforeAll(async () => {
  for (const address of [edu, nvme, testdev]) await bindTo(address, "vfio-pci");
  group = `/dev/vfio/${readFunction(edu).iommuGroup!.number}`;
});
afterAll(async () => {
  for (const address of [edu, nvme, testdev]) await release(address, { force: true });
});

test("a function that is not there", () => {
  expect(messageOf(() => openDevice("0000:7f:00.0"))).toBe(
    "0000:7f:00.0: there is no PCI function 0000:7f:00.0; bun run list.ts shows those present, and bun run rescan.ts --bus all looks for new ones",
  );
});

test("wrong permissions: a group that belongs to root", async () => {
  expect(await outcome(edu, "--as-nobody")).toBe(
    `DeviceError: ${edu}: open ${group}: EACCES: this user may not open it; run as root, or as root: chown ${NOBODY} ${group}; bun run setup.ts ${edu} shows how to do that for good`,
  );
});

test("wrong permissions: the container", async () => {
  chownSync(group, NOBODY, NOBODY);
  chmodSync("/dev/vfio/vfio", 0o600);
  try {
    expect(await outcome(edu, "--as-nobody")).toBe(
      `DeviceError: ${edu}: open /dev/vfio/vfio: EACCES: this user may not open it: run as root, or chmod 0666 /dev/vfio/vfio (the groups have permissions of their own)`,
    );
  } finally {
    chmodSync("/dev/vfio/vfio", 0o666);
  }
});

test("memlock low: more for DMA than a user may lock is refused before anything is mapped", async () => {
  expect(await outcome(edu, "--as-nobody", "--dma", "65536")).toBe("65536 bytes in pages of 4096");
  expect(await outcome(edu, "--as-nobody", "--dma", String(64 * 2 ** 20))).toMatch(
    new RegExp(
      `^DeviceError: ${edu}: 64 MiB for DMA must stay in memory, but only [\\d.]+ MiB more may be locked \\(RLIMIT_MEMLOCK\\): run as root, or raise the limit first, as root: prlimit --memlock=unlimited --pid \\$\\$$`,
    ),
  );
});

test("memlock low: what is locked already counts", async () => {
  const fiveMib = String(5 * 2 ** 20);
  const lines = (await outcome(edu, "--as-nobody", "--dma", fiveMib, "--dma", fiveMib)).split("\n");
  // 8 MiB may be locked in all; in large pages the first takes 6 of them.
  expect(lines[0]).toMatch(/^\d+ bytes in pages of/);
  expect(lines[1]).toMatch(/5\.0 MiB for DMA must stay in memory, but only [23]\.0 MiB more may be locked/);
});

test("lock held: another process has the device, and the message names it", async () => {
  await using holder = attempt(edu, "--hold");
  const reader = holder.stdout.getReader();
  await reader.read();
  expect(messageOf(() => openDevice(edu))).toBe(
    `${edu}: ${edu} is in use by process ${holder.pid} (${basename(process.execPath).slice(0, 15)}); one process at a time drives a device`,
  );
  holder.stdin.end();
  await holder.exited;
  using device = openDevice(edu);
  expect(device.bars[0]!.read32(0)).toBe(0x010000ed);
});

test("device busy: a program that knows nothing of the lock has the group open", async () => {
  await using holder = Bun.spawn(["sh", "-c", `exec 3<>${group}; echo open; read word`], { stdin: "pipe" });
  await holder.stdout.getReader().read();
  expect(messageOf(() => openDevice(edu))).toBe(
    `${edu}: open ${group}: EBUSY: the group is in use by process ${holder.pid} (sh); end that first`,
  );
  holder.stdin.end();
  await holder.exited;
});

test("opened twice by one process", () => {
  using _device = openDevice(edu);
  expect(messageOf(() => openDevice(edu))).toBe(
    `${edu}: ${edu} is in use by this process itself; one process at a time drives a device`,
  );
});

test("decode off: an access by system call fails, and the message tells how to turn it on", () => {
  using group = openGroup(readFunction(nvme).iommuGroup!.number, nvme, nvme);
  using fd = group.openDevice(nvme);
  const config = regionTransfers(
    fd,
    "configuration space",
    readRegionInfo(fd, RegionIndex.CONFIG).fileOffset,
    nvme,
  );
  const bar0 = regionTransfers(fd, "BAR0", readRegionInfo(fd, 0).fileOffset, nvme);
  const [off, on] = [new Uint8Array([0, 0]), new Uint8Array([Command.MEMORY, 0])];
  config.write(Config.COMMAND, off);
  expect(messageOf(() => bar0.read(0, 4))).toBe(
    `${nvme}: read 4 bytes at 0x0 of BAR0: EIO: memory decode is off, or the device has gone away; bun run info.ts shows which, and bun run enable.ts turns decode on`,
  );
  config.write(Config.COMMAND, on);
  expect(bar0.read(0, 4).getUint32(0, true)).not.toBe(0xffffffff);
});

test("BAR not mmap-able: I/O ports are reached by system calls", () => {
  using device = openDevice(testdev);
  const ports = device.bars[1]!;
  expect(ports.sizeBytes).toBe(256);
  expect(ports.isMapped(0, 1)).toBe(false);
  // Test 0, its width and its offset within the BAR: docs/specs/pci-testdev.rst in QEMU.
  ports.write8(0, 0);
  expect(ports.read8(1)).toBeLessThanOrEqual(4);
});

test("an 8 MiB BAR is mapped whole and keeps what is written, in every width and in bulk", () => {
  using device = openDevice(testdev);
  const memory = device.bars[2]!;
  expect(memory.sizeBytes).toBe(8 * 2 ** 20);
  expect(memory.isMapped(0, memory.sizeBytes)).toBe(true);
  const last = memory.sizeBytes - 8;
  memory.write64(last, 0x1122334455667788n);
  expect(memory.read64(last)).toBe(0x1122334455667788n);
  expect(memory.read32(last)).toBe(0x55667788);
  expect(memory.read16(last + 2)).toBe(0x5566);
  expect(memory.read8(last + 7)).toBe(0x11);
  memory.write8(last, 0xff);
  memory.write16(last + 2, 0xaabb);
  memory.write32(last + 4, 0xccddeeff);
  expect(memory.read64(last)).toBe(0xccddeeffaabb77ffn);

  const data = new Uint8Array(2 ** 20);
  for (let i = 0; i < data.length; i++) data[i] = (i * 31 + (i >> 8)) & 0xff;
  const back = new Uint8Array(data.length);
  memory.copyIn(4096, data);
  memory.copyOut(4096, back);
  expect(Buffer.compare(back, data)).toBe(0);
  expect(() => memory.read32(memory.sizeBytes)).toThrow(RangeError);
});

test("pages of 1 GiB that are not there are refused with the command that makes them", () => {
  using device = openDevice(edu);
  expect(messageOf(() => device.allocateDma(2 ** 33, { pageBytes: 2 ** 30 }))).toMatch(
    /ENOMEM: there are not that many free pages of this size; echo 8 > \/sys\/kernel\/mm\/hugepages\/hugepages-1048576kB\/nr_hugepages$/,
  );
});

test("pages of a size that there is not are refused", () => {
  using device = openDevice(edu);
  expect(messageOf(() => device.allocateDma(2 ** 20, { pageBytes: 8192 }))).toBe(
    `${edu}: this machine has no pages of 8192 bytes; ls /sys/kernel/mm/hugepages shows what it has`,
  );
});

test("more mappings than the kernel lets a container make are refused with the command that allows more", async () => {
  const limit = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit";
  const before = readFileSync(limit, "utf8");
  writeFileSync(limit, "1");
  try {
    expect((await outcome(edu, "--dma", "4096", "--dma", "4096")).split("\n")[1]).toEndWith(
      `ENOSPC: the container accepts only 0 more mappings; as root: echo N > ${limit}, and open the device again`,
    );
  } finally {
    writeFileSync(limit, before);
  }
});

test("no addresses are left below what the device reaches", () => {
  using device = openDevice(edu);
  expect(messageOf(() => device.allocateDma(2 ** 21, { addressBits: 20 }))).toMatch(
    /: no 2097152 bytes of addresses below 2\^20 are left; the IOMMU maps 0x0-0x/,
  );
});

test("a device that another driver has, and one that no driver has, are reached through sysfs or not, with the reason", async () => {
  await release(nvme, { force: false });
  expect(readFunction(nvme).driver).toBe("nvme");
  expect(messageOf(() => openDevice(nvme))).toBe(
    `${nvme}: nvme drives ${nvme}; its BARs can't be mapped while it does: bun run bind.ts ${nvme}`,
  );
  expect(messageOf(() => openDevice(`vfio:${nvme}`))).toBe(
    `vfio:${nvme}: VFIO can't be used: nvme is bound to it, not vfio-pci: bun run bind.ts ${nvme}`,
  );
  await release(testdev, { force: false });
  using device = openDevice(testdev);
  expect(device.reachedBy).toMatch(/^sysfs, since /);
});

test("bus mastering is off once a device is closed", () => {
  using config = openConfigFile(readFunction(edu), "r");
  const device = openDevice(edu);
  expect(config.read16(Config.COMMAND) & Command.BUS_MASTER).toBe(Command.BUS_MASTER);
  device[Symbol.dispose]();
  expect(config.read16(Config.COMMAND) & Command.BUS_MASTER).toBe(0);
});
