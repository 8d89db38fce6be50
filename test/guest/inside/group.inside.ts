/** Two functions of one device that nothing isolates from each other, so in one IOMMU group: two edu behind a root port. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openEdu } from "../../../examples/edu/edu.ts";
import { openDevice } from "../../../src/index.ts";
import { release } from "../../../src/pci/bus/binding.ts";
import { groupMembers, listFunctions, readFunction } from "../../../src/pci/bus/functions.ts";
import { askedBack, unbindElsewhere } from "./asked-back.ts";
import { bindTo, messageOf } from "./rig.ts";

let first: string;
let second: string;

beforeAll(async () => {
  const behindBridge = listFunctions().filter(
    ({ parent, device }) => parent !== undefined && device === 0x11e8,
  );
  [first, second] = behindBridge.map(({ address }) => address) as [string, string];
  await bindTo(first, "vfio-pci");
  await bindTo(second, "vfio-pci");
});
afterAll(async () => {
  for (const address of [first, second]) await release(address, { force: true });
});

test("one process may open both, and each has its own", () => {
  using one = openDevice(first);
  using two = openDevice(second);
  expect(readFunction(first).iommuGroup).toEqual(readFunction(second).iommuGroup);
  const [edu1, edu2] = [openEdu(one), openEdu(two)];
  edu1.io.LIVENESS.write(1);
  edu2.io.LIVENESS.write(2);
  expect([edu1.io.LIVENESS.read(), edu2.io.LIVENESS.read()]).toEqual([0xfffffffe, 0xfffffffd]);
  expect(edu1.factorial(6)).toBe(720);
});

test("what one of them maps the other reaches, too, at the same address", () => {
  using one = openDevice(first);
  using two = openDevice(second);
  const [edu1, edu2] = [openEdu(one), openEdu(two)];
  using memory = edu1.allocate(4096);
  using other = edu2.allocate(4096);
  expect(other.iova).not.toBe(memory.iova);
  memory.bytes().fill(0x5a);
  edu2.store(memory, 4096);
  edu2.load(other, 4096);
  expect(other.bytes().every((byte) => byte === 0x5a)).toBe(true);
});

test("the second can still be used once the first is closed", () => {
  const one = openDevice(first);
  using two = openDevice(second);
  one[Symbol.dispose]();
  const edu = openEdu(two);
  expect(edu.factorial(3)).toBe(6);
  using memory = edu.allocate(4096);
  edu.load(memory, 4096);
});

test("one that the kernel asks back is closed, and leaves the other its addresses and what it has mapped", async () => {
  using one = openDevice(first);
  const two = openDevice(second);
  const edu = openEdu(two);
  const lost = one.allocateDma(4096, { addressBits: 28 });
  lost.bytes().fill(0x33);
  const kept = edu.allocate(4096);
  kept.bytes().fill(0x44);
  await unbindElsewhere(first);
  expect(messageOf(() => one.bars[0]!.read32(0))).toBe(askedBack(first));
  expect(edu.factorial(5)).toBe(120);
  // The address of what it lost is free again, and the device has that no more.
  const again = two.allocateDma(4096, { addressBits: 28 });
  expect(again.iova).toBe(lost.iova);
  edu.store(kept, 4096);
  edu.load(again, 4096);
  expect(again.bytes().every((byte) => byte === 0x44)).toBe(true);
  expect(lost.bytes().every((byte) => byte === 0x33)).toBe(true);
  two[Symbol.dispose]();
  await bindTo(first, "vfio-pci");
});

test("one that can't be reset alone is reset with its bus, since all on it is this process's", () => {
  using device = openDevice(first);
  const edu = openEdu(device);
  device.reset();
  expect(edu.factorial(4)).toBe(24);
});

test("a group is not viable while another driver has a member of it, and the message says which", async () => {
  await release(second, { force: false });
  await bindTo(second, "uio_pci_generic");
  const group = readFunction(first).iommuGroup!;
  // Where the root port does not isolate what is behind it either, it is a member, too.
  const ports = groupMembers(group).filter(({ isBridge }) => isBridge);
  const members = [...ports.map(({ address }) => `${address} (pcieport)`), `${first} (vfio-pci)`];
  expect(messageOf(() => openDevice(first))).toBe(
    `${first}: IOMMU group ${group.number} is not viable, its members are ${members.join(", ")}, ${second} (uio_pci_generic): a device that shares its group must be bound to vfio-pci or to nothing: bun run bind.ts ${second}`,
  );
  await release(second, { force: false });
  await bindTo(second, "vfio-pci");
  using device = openDevice(first);
  expect(openEdu(device).factorial(3)).toBe(6);
});
