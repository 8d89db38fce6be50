/** When the kernel wants a device back: the req interrupt, and what is left once it is gone. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { DeviceError, type Interrupt, openDevice } from "../../../src/index.ts";
import { listAddresses } from "../../../src/pci/bus/functions.ts";
import { askedBack, losesItToItsDriver, unbindElsewhere } from "./asked-back.ts";
import { addressesOf, bindTo, messageOf } from "./rig.ts";

test("req strikes when the device is to be removed, and the removal ends once it is let go", async () => {
  const [address] = addressesOf("nvme");
  await bindTo(address, "vfio-pci");
  const device = openDevice(address);
  expect(device.interruptCount("req")).toBe(1);
  // It is a PCI Express function, so it can report errors, too.
  expect(device.interruptCount("err")).toBe(1);
  const [req] = device.enableInterrupts("req", 1) as [Interrupt];
  const [err] = device.enableInterrupts("err", 1) as [Interrupt];
  expect(req.take()).toBe(0);

  await using removal = Bun.spawn(["sh", "-c", `echo 1 > /sys/bus/pci/devices/${address}/remove`]);
  expect(await req.waitAsync(30_000)).toBeGreaterThanOrEqual(1);
  expect(removal.exitCode).toBeNull();
  device.disableInterrupts("req");
  device.disableInterrupts("err");
  for (const interrupt of [req, err]) interrupt[Symbol.dispose]();
  device[Symbol.dispose]();
  expect(await removal.exited).toBe(0);
  expect(listAddresses()).not.toContain(address);
  expect(() => openDevice(address)).toThrow(DeviceError);

  writeFileSync("/sys/bus/pci/rescan", "1");
  expect(listAddresses()).toContain(address);
});

test("a function that is no PCI Express function has no err interrupt", async () => {
  const [address] = addressesOf("edu");
  await bindTo(address, "vfio-pci");
  using device = openDevice(address);
  expect(device.interruptCount("err")).toBe(0);
  expect(device.interruptCount("req")).toBe(1);
});

test("an unbinding elsewhere ends while the program waits for a timer, and its next call says that the device was closed", async () => {
  const [address] = addressesOf("nvme");
  await bindTo(address, "vfio-pci");
  await losesItToItsDriver(address, address, "nvme");
});

test("a program that takes no req any more loses the device, too, and with it nothing of another function", async () => {
  const [nvme] = addressesOf("nvme");
  const [edu] = addressesOf("edu");
  for (const address of [nvme, edu]) await bindTo(address, "vfio-pci");
  using other = openDevice(edu);
  using device = openDevice(nvme);
  device.enableInterrupts("req", 1);
  device.disableInterrupts("req");
  expect(await unbindElsewhere(nvme)).toBeLessThan(5000);
  expect(messageOf(() => device.config.read16(0))).toBe(askedBack(nvme));
  expect(other.config.read16(0)).toBe(0x1234);
  using memory = other.allocateDma(4096);
  expect(memory.read32(0)).toBe(0);
});

test("a program that forgets to close its device ends when it has nothing else to do", async () => {
  const [address] = addressesOf("edu");
  await bindTo(address, "vfio-pci");
  const program = `
    import { openDevice } from "/vfiokit/src/index.ts";
    openDevice(${JSON.stringify(address)});
    await Bun.sleep(300);
    console.log("done");
  `;
  const child = Bun.spawn([process.execPath, "-e", program], { stderr: "inherit", timeout: 30_000 });
  expect(await new Response(child.stdout).text()).toBe("done\n");
  expect(await child.exited).toBe(0);
});
