/** The story's guest: no IOMMU, no driver, regions disabled. Everything through sysfs: --iommu off --device edu. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openEdu } from "../../../examples/edu/edu.ts";
import { type Interrupt, openDevice, type PciDevice } from "../../../src/index.ts";
import { release } from "../../../src/pci/bus/binding.ts";
import { openConfigFile } from "../../../src/pci/bus/config-file.ts";
import { listFunctions, readFunction } from "../../../src/pci/bus/functions.ts";
import { Command, Config } from "../../../src/pci/config-offsets.ts";
import { addressesOf, bindTo, messageOf } from "./rig.ts";

const [address] = addressesOf("edu");
const NO_IOMMU = "it is in no IOMMU group: there is no IOMMU, or it is off";

/** A verb's standard output. */
async function verb(name: string, ...words: string[]): Promise<string> {
  const program = join(import.meta.dir, "../../../scripts", `${name}.ts`);
  const child = Bun.spawn([process.execPath, program, ...words], { stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  expect({ name, exitCode: await child.exited }).toEqual({ name, exitCode: 0 });
  return text;
}
const region0 = async () =>
  (await verb("info", address))
    .split("\n")
    .find((line) => line.includes("Region 0:"))
    ?.trim();

describe("the story, step by step", () => {
  test("no driver is bound, and the region is disabled", async () => {
    expect(readFunction(address).driver).toBeUndefined();
    // A PC's firmware may have turned it on; on aarch64 nobody has.
    if (process.arch === "x64") await verb("enable", address, "--off");
    expect(await region0()).toMatch(
      /^Region 0: Memory at [0-9a-f]+ \(32-bit, non-prefetchable\) \[disabled\] \[size=1M\]$/,
    );
  });

  test("enable turns memory decode on", async () => {
    const text = await verb("enable", address, "--memory");
    expect(text).toMatch(/before.*Mem-.*\n.*after.*Mem\+/);
    expect(await region0()).toMatch(
      /^Region 0: Memory at [0-9a-f]+ \(32-bit, non-prefetchable\) \[size=1M\]$/,
    );
  });

  test("peek maps the region and reads the id", async () => {
    expect(await verb("peek", address, "0:0", "--json")).toContain('"0x010000ed"');
  });
});

test("openDevice turns decode on by itself, and says why it is sysfs", async () => {
  await verb("enable", address, "--off");
  using device = openDevice(address);
  expect(device.reachedBy).toBe(`sysfs, since ${NO_IOMMU}`);
  const edu = openEdu(device);
  edu.io.LIVENESS.write(0xa5a5a5a5);
  expect(edu.io.LIVENESS.read()).toBe(0x5a5a5a5a);
  expect(edu.factorial(10)).toBe(3_628_800);
});

test("bus mastering that someone turned on is off once the device is closed", () => {
  using config = openConfigFile(readFunction(address), "r+");
  const device = openDevice(address);
  config.write16(Config.COMMAND, config.read16(Config.COMMAND) | Command.BUS_MASTER);
  device[Symbol.dispose]();
  expect(config.read16(Config.COMMAND) & Command.BUS_MASTER).toBe(0);
  expect(() => device.bars[0]!.read32(0)).toThrow("already unmapped");
  expect(() => device.config.read16(0)).toThrow("already closed");
});

test("BARs smaller than a page are each device's own, wherever in a page they begin", () => {
  // Two network cards with 256 bytes of registers, whose first six bytes are the hardware address.
  const cards = listFunctions().filter(({ vendor, device }) => vendor === 0x10ec && device === 0x8139);
  const hardwareAddresses = cards.map((card) => {
    using device = openDevice(card.address);
    return Array.from({ length: 6 }, (_, i) => device.bars[1]!.read8(i).toString(16)).join(":");
  });
  expect(hardwareAddresses).toEqual(["52:54:0:0:0:1", "52:54:0:0:0:2"]);
});

test("what only VFIO can do is refused with the reason", () => {
  using device = openDevice(address);
  expect(messageOf(() => openDevice(`vfio:${address}`))).toBe(
    `vfio:${address}: VFIO can't be used: ${NO_IOMMU}; bun run doctor.ts shows which`,
  );
  expect(messageOf(() => device.allocateDma(4096))).toBe(
    `${address}: DMA is not available through sysfs, where no IOMMU limits what the device can reach; use the memory in its BARs, turn the IOMMU on and use VFIO, or, with a device that you trust with all memory, open ${address}?dma=physical; bun run doctor.ts shows how`,
  );
  expect(messageOf(() => device.enableInterrupts("msi", 1))).toBe(
    `${address}: 1 msi interrupts are not available: sysfs has INTx only (one vector, with uio_pci_generic); the others need VFIO, which was not used because ${NO_IOMMU}; bun run doctor.ts shows which`,
  );
  expect(messageOf(() => device.enableInterrupts("intx", 1))).toBe(
    `${address}: 1 intx interrupts are not available: bind uio_pci_generic: bun run bind.ts ${address} --driver uio_pci_generic`,
  );
  expect(messageOf(() => openDevice(address))).toBe(
    `${address}: ${address} is in use by this process itself; one process at a time drives a device`,
  );
});

test("without root sysfs is refused, and the message says so", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "try.ts"), address, "--as-nobody"]);
  expect((await new Response(child.stdout).text()).trim()).toBe(
    `DeviceError: ${address}: can't open for writing configuration space of ${address}: EACCES: this needs root: run it with sudo`,
  );
});

describe("with uio_pci_generic", () => {
  let device: PciDevice;
  beforeAll(async () => {
    await bindTo(address, "uio_pci_generic");
    device = openDevice(address);
  });
  afterAll(async () => {
    device[Symbol.dispose]();
    await release(address, { force: false });
  });

  test("every INTx is counted, and strikes again only once it is unmasked", async () => {
    const edu = openEdu(device);
    const [intx] = device.enableInterrupts("intx", 1) as [Interrupt];
    try {
      for (let i = 1; i <= 50; i++) {
        edu.io.INTERRUPT_RAISE.write(i);
        expect(i % 2 ? intx.wait(5000) : await intx.waitAsync(5000)).toBe(1);
        expect(edu.io.INTERRUPT_STATUS.read()).toBe(i);
        expect(intx.wait(5)).toBe(0);
        edu.io.INTERRUPT_ACKNOWLEDGE.write(i);
        device.unmaskIntx();
      }
      expect(intx.wait(20)).toBe(0);
      // Those that nobody took are not lost.
      for (let i = 0; i < 3; i++) {
        edu.io.INTERRUPT_RAISE.write(1);
        await Bun.sleep(100);
        edu.io.INTERRUPT_ACKNOWLEDGE.write(1);
        device.unmaskIntx();
      }
      expect(intx.take()).toBe(3);
      device.disableInterrupts("intx");
      edu.io.INTERRUPT_RAISE.write(1);
      expect(intx.wait(50)).toBe(0);
      edu.io.INTERRUPT_ACKNOWLEDGE.write(1);
    } finally {
      device.disableInterrupts("intx");
      intx[Symbol.dispose]();
    }
  });
});
