/**
 * What Linux asserts of VFIO in tools/testing/selftests/vfio (vfio_pci_device_test, vfio_dma_mapping_test), asserted of
 * the vfio backend: the same list, one to one.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { Vfio } from "../../../src/device/vfio/abi.ts";
import { type Group, openGroup } from "../../../src/device/vfio/group.ts";
import { readRegionInfo } from "../../../src/device/vfio/regions.ts";
import { openDevice, type PciDevice } from "../../../src/index.ts";
import { EventFd } from "../../../src/os/eventfd.ts";
import { type Fd, ioctl, readAt, writeAt } from "../../../src/os/fd.ts";
import { mapAnonymous } from "../../../src/os/memory.ts";
import { type PciFunction, readFunction } from "../../../src/pci/bus/functions.ts";
import { BARS, DMA_UNMAP_ALL, IrqIndex, IrqSet, RegionIndex } from "../../../src/protocol/vfio.ts";
import { addressesOf, bindTo, errnoOf } from "./rig.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const COMMAND = 0x04;
const BUS_MASTER = 0x0004;
/** The original's limit, so that no IOMMU runs out of entries. */
const MAX_VECTORS = 16;

describe.each(["edu", "nvme"] as const)("%s", (kind) => {
  let pci: PciFunction;
  let group: Group;
  let fd: Fd;

  beforeAll(async () => {
    const [address] = addressesOf(kind);
    await bindTo(address, "vfio-pci");
    pci = readFunction(address);
  });
  beforeEach(() => {
    group = openGroup(pci.iommuGroup!.number, pci.address, pci.address);
    fd = group.openDevice(pci.address);
  });
  afterEach(() => {
    fd[Symbol.dispose]();
    group[Symbol.dispose]();
  });

  const config16 = (offset: number): number => {
    const bytes = new DataView(new ArrayBuffer(2));
    const at = readRegionInfo(fd, RegionIndex.CONFIG).fileOffset + offset;
    readAt(fd, new Uint8Array(bytes.buffer), at, "read configuration space");
    return bytes.getUint16(0, true);
  };
  const setConfig16 = (offset: number, value: number): void => {
    const bytes = new DataView(new ArrayBuffer(2));
    bytes.setUint16(0, value, true);
    const at = readRegionInfo(fd, RegionIndex.CONFIG).fileOffset + offset;
    writeAt(fd, new Uint8Array(bytes.buffer), at, "write configuration space");
  };

  test("config_space_read_write: ids match sysfs, bus master is off after open and can be toggled", () => {
    expect(config16(0)).toBe(pci.vendor);
    expect(config16(2)).toBe(pci.device);
    const command = config16(COMMAND);
    expect(command & BUS_MASTER).toBe(0);
    setConfig16(COMMAND, command | BUS_MASTER);
    expect(config16(COMMAND) & BUS_MASTER).toBe(BUS_MASTER);
    setConfig16(COMMAND, command & ~BUS_MASTER);
    expect(config16(COMMAND) & BUS_MASTER).toBe(0);
  });

  test("validate_bars: every BAR that can be mapped is mapped by openDevice", () => {
    const mappable = Array.from({ length: BARS }, (_, i) => readRegionInfo(fd, i));
    expect(mappable.some(({ areas }) => areas.length > 0)).toBe(true);
    // The device is opened once more, as the library does it.
    fd[Symbol.dispose]();
    using device: PciDevice = openDevice(pci.address);
    for (const [i, { areas, sizeBytes }] of mappable.entries()) {
      expect(device.bars[i]!.sizeBytes).toBe(sizeBytes);
      expect(device.bars[i]!.isMapped(0, 4)).toBe(areas.length > 0);
    }
  });

  test.each(["msi", "msix"] as const)(
    "enable_trigger_disable: each vector of %s that there is counts 1",
    (name) => {
      const index = name === "msi" ? IrqIndex.MSI : IrqIndex.MSIX;
      using device = openDevice(pci.address);
      const count = Math.min(device.interruptCount(name), MAX_VECTORS);
      device[Symbol.dispose]();
      // edu has one MSI and no MSI-X, nvme 65 MSI-X and no MSI.
      expect(count).toBe({ edu: { msi: 1, msix: 0 }, nvme: { msi: 0, msix: MAX_VECTORS } }[kind][name]);
      if (count === 0) return;
      const eventFds = Array.from({ length: count }, () => new EventFd());
      const setIrqs = (flags: number, start: number, n: number, fds: readonly number[]) => {
        const set = new DataView(new ArrayBuffer(20 + fds.length * 4));
        for (const [i, value] of [set.byteLength, flags, index, start, n, ...fds].entries())
          set.setInt32(i * 4, value, true);
        ioctl(fd, Vfio.DEVICE_SET_IRQS, set, `set ${name}`);
      };
      const fds = eventFds.map((eventFd) => eventFd.fd.number);
      setIrqs(IrqSet.DATA_EVENTFD | IrqSet.ACTION_TRIGGER, 0, count, fds);
      for (const [i, eventFd] of eventFds.entries()) {
        setIrqs(IrqSet.DATA_NONE | IrqSet.ACTION_TRIGGER, i, 1, []);
        expect(eventFd.wait(5000)).toBe(1);
      }
      setIrqs(IrqSet.DATA_NONE | IrqSet.ACTION_TRIGGER, 0, 0, []);
      for (const eventFd of eventFds) eventFd[Symbol.dispose]();
    },
  );

  test.each([
    ["4 KiB pages", 4 * KIB],
    ["2 MiB pages", 2 * MIB],
    ["1 GiB pages", GIB],
  ])("dma_map_unmap: %s are mapped and unmapped whole", (_, pageBytes) => {
    using memory = mapAnonymous(pageBytes, pageBytes);
    const iova = group.addresses.allocate(pageBytes, pageBytes)!;
    expect(iova % pageBytes).toBe(0);
    group.container.map(memory, iova);
    expect(group.container.unmap(iova, pageBytes)).toBe(pageBytes);
    expect(group.container.unmap(iova, pageBytes)).toBe(0);
    group.addresses.free(iova);
  });

  describe("at the last address that the IOMMU translates", () => {
    const PAGE = 4 * KIB;
    const lastPage = () => group.container.info().ranges.at(-1)!.last & ~0xfffn;

    test("unmap_range: its page is mapped and unmapped", () => {
      using memory = mapAnonymous(PAGE);
      group.container.map(memory, lastPage());
      expect(group.container.unmap(lastPage(), PAGE)).toBe(PAGE);
    });

    test("unmap_all: everything goes with it", () => {
      using memory = mapAnonymous(PAGE);
      group.container.map(memory, lastPage());
      const request = new DataView(new ArrayBuffer(24));
      request.setUint32(0, 24, true);
      request.setUint32(4, DMA_UNMAP_ALL, true);
      ioctl(group.container.fd, Vfio.IOMMU_UNMAP_DMA, request, "unmap everything");
      expect(request.getBigUint64(16, true)).toBe(BigInt(PAGE));
    });

    test("overflow: what would go beyond 2^64 is refused", () => {
      using memory = mapAnonymous(2 * PAGE);
      const beyond = 2n ** 64n - BigInt(PAGE);
      // EOVERFLOW from Linux 6.19 on.
      expect(["EINVAL", "EOVERFLOW"]).toContain(errnoOf(() => group.container.map(memory, beyond))!);
      expect(["EINVAL", "EOVERFLOW"]).toContain(errnoOf(() => group.container.unmap(beyond, 2 * PAGE))!);
    });
  });

  test("reset: a device that has one comes back and answers", () => {
    fd[Symbol.dispose]();
    using device = openDevice(pci.address);
    // edu has none of its own; group.inside.ts resets it with its bus.
    if (kind === "edu") return expect(() => device.reset()).toThrow("it has no reset of its own");
    device.reset();
    expect(device.config.read16(0)).toBe(pci.vendor);
    expect(device.bars[0]!.read32(0)).not.toBe(0xffffffff);
  });
});
