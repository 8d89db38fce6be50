/** DMA without an IOMMU: uio_pci_generic and physical addresses. `edu,dma_mask=0xffffffff`, 16 huge pages, no IOMMU. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openEdu } from "../../../examples/edu/edu.ts";
import { openDevice, type PciDevice } from "../../../src/index.ts";
import { HUGE_PAGE } from "../../../src/os/huge-pages.ts";
import { release } from "../../../src/pci/bus/binding.ts";
import { openConfigFile } from "../../../src/pci/bus/config-file.ts";
import { listFunctions, readFunction } from "../../../src/pci/bus/functions.ts";
import { Command, Config } from "../../../src/pci/config-offsets.ts";
import { addressesOf, bindTo, messageOf } from "./rig.ts";

const [address] = addressesOf("edu");
const spec = `${address}?dma=physical`;
/** What the device reaches. */
const addressBits = 32;
const freePages = () =>
  Number(readFileSync("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "latin1"));

test("a function without uio_pci_generic is refused, because its DMA could outlive the process", () => {
  expect(messageOf(() => openDevice(spec))).toBe(
    `${spec}: DMA by physical addresses needs uio_pci_generic, which ends it when this process ends, however it does: bun run bind.ts ${address} --driver uio_pci_generic`,
  );
});

describe("with uio_pci_generic", () => {
  let device: PciDevice;
  let free: number;
  beforeAll(async () => {
    await bindTo(address, "uio_pci_generic");
    free = freePages();
    device = openDevice(spec);
  });
  afterAll(async () => {
    device[Symbol.dispose]();
    await release(address, { force: false });
  });

  test("it says what it does", () => {
    expect(device.hasDma).toBe(true);
    expect(device.reachedBy).toBe(
      "sysfs and uio_pci_generic, DMA by physical addresses, since it is in no IOMMU group: there is no IOMMU, or it is off",
    );
  });

  test("data goes both ways, in memory of one page and of several that follow each other", () => {
    const edu = openEdu(device);
    for (const sizeBytes of [4096, 2 * HUGE_PAGE]) {
      using from = device.allocateDma(sizeBytes, { addressBits });
      using to = device.allocateDma(sizeBytes, { addressBits });
      for (const memory of [from, to]) {
        expect(memory.sizeBytes).toBe(Math.ceil(sizeBytes / HUGE_PAGE) * HUGE_PAGE);
        expect(memory.iova % HUGE_PAGE).toBe(0);
        expect(memory.iova + memory.sizeBytes).toBeLessThanOrEqual(2 ** addressBits);
      }
      const last = from.sizeBytes - 4096;
      for (const at of [0, last]) {
        const sent = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7 + (i >> 8) + at) & 0xff);
        from.bytes(at, 4096).set(sent);
        edu.store({ ...from, iova: from.iova + at } as typeof from, 4096);
        expect(to.bytes(at, 4096).every((byte) => byte === 0)).toBe(true);
        edu.load({ ...to, iova: to.iova + at } as typeof to, 4096);
        expect(to.bytes(at, 4096)).toEqual(sent);
      }
    }
  });

  test("pages are given back, zeroed when they are taken again, and counted when there are too few", () => {
    expect(freePages()).toBe(free);
    {
      using memory = device.allocateDma(4 * HUGE_PAGE, { addressBits });
      memory.bytes().fill(0xff);
      expect(freePages()).toBe(free - 4);
    }
    using all = new DisposableStack();
    for (let i = 0; i < free; i++) {
      const memory = all.use(device.allocateDma(1, { addressBits }));
      expect(memory.bytes().every((byte) => byte === 0)).toBe(true);
    }
    expect(messageOf(() => device.allocateDma(1))).toMatch(
      /1 huge pages are needed, and 0 are free: as root: echo \d+ > \/sys\/kernel\/mm\/hugepages\/hugepages-2048kB\/nr_hugepages$/,
    );
  });

  test("addresses that no page has are refused", () => {
    expect(messageOf(() => device.allocateDma(1, { addressBits: 16 }))).toContain("below 2^16");
    expect(messageOf(() => device.allocateDma(1, { pageBytes: 4096 }))).toContain(
      "has pages of 2097152 bytes",
    );
    expect(freePages()).toBe(free);
  });

  test("memory that was detached outlives the device; bus mastering does not", async () => {
    using config = openConfigFile(readFunction(address), "r");
    const masters = () => (config.read16(Config.COMMAND) & Command.BUS_MASTER) !== 0;
    expect(masters()).toBe(true);
    const memory = device.allocateDma(4096, { addressBits });
    memory.bytes().fill(7);
    const mapping = memory.detach();
    device[Symbol.dispose]();
    expect(masters()).toBe(false);
    expect(memory.bytes()[4095]).toBe(7);
    mapping[Symbol.dispose]();
    while (freePages() < free) await Bun.sleep(1);
    device = openDevice(spec);
  });
});

test("after SIGKILL in the middle of DMA the device is off before its memory is anybody else's", async () => {
  const [writer] = listFunctions().filter(({ device }) => device === 0x3717);
  await bindTo(writer!.address, "uio_pci_generic");
  const program = join(import.meta.dir, "written.ts");
  const start = (...words: string[]) =>
    Bun.spawn(["sh", "-c", 'ulimit -n 110000; exec "$@"', "sh", process.execPath, program, ...words], {
      stdout: "pipe",
    });
  const pages = freePages();
  const config = openConfigFile(readFunction(writer!.address), "r");
  const masters = () => (config.read16(Config.COMMAND) & Command.BUS_MASTER) !== 0;
  const driver = start("drive", `${writer!.address}?dma=physical`, String(pages));
  const said = driver.stdout.getReader();
  expect(Buffer.from((await said.read()).value!).toString()).toBe("written\n");
  expect([masters(), freePages()]).toEqual([true, 0]);
  const taker = start("take", String(pages));
  const heard = taker.stdout.getReader();
  expect(Buffer.from((await heard.read()).value!).toString()).toBe("waiting\n");
  driver.kill("SIGKILL");
  expect(Buffer.from((await heard.read()).value!).toString()).toBe("left alone\n");
  expect(masters()).toBe(false);
  await taker.exited;
  {
    // The next process finds a device that has forgotten the address.
    using device = openDevice(`${writer!.address}?dma=physical`);
    const memories = Array.from({ length: pages }, () => device.allocateDma(HUGE_PAGE));
    expect(device.bars[0]!.read32(8)).toBe(0);
    await Bun.sleep(200);
    expect(memories.map((memory) => memory.read32(0))).toEqual(memories.map(() => 0));
  }
  config[Symbol.dispose]();
  await release(writer!.address, { force: false });
}, 120_000);
