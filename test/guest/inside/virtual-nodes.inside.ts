/**
 * VF tokens by iommufd, in a kernel that has /dev/vfio/devices and vfio-pci (test/kernel). Devices: --device igb. No driver but
 * vfio-pci knows it there.
 */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { openDevice } from "../../../src/index.ts";
import { bind, release } from "../../../src/pci/bus/binding.ts";
import { listFunctions } from "../../../src/pci/bus/functions.ts";
import { setVirtualFunctions } from "../../../src/pci/bus/sriov.ts";
import { messageOf } from "./rig.ts";

const TOKEN = "7f0c1c1e-58a0-4c53-9d0e-3b5a6d1f2a90";

test("a physical function opened by its node sets the token that its virtual ones need by their groups", async () => {
  const igb = listFunctions().find((of) => of.device === 0x10c9)!.address;
  await bind(igb);
  writeFileSync("/sys/module/vfio_pci/parameters/enable_sriov", "Y");
  const { functions } = await setVirtualFunctions(igb, 2);
  const [first, second] = functions.map(({ address }) => address) as [string, string];
  {
    using physical = openDevice(`iommufd:${igb}?vf_token=${TOKEN}`);
    expect(physical.reachedBy).toStartWith("VFIO, iommufd, /dev/vfio/devices/");
    expect(messageOf(() => openDevice(first))).toContain(`EACCES: it needs a VF token, because its physical`);
    using virtual = openDevice(`${first}?vf_token=${TOKEN}`);
    expect(virtual.config.read32(0)).toBe(0x10ca8086);
    using other = openDevice(`iommufd:${second}?vf_token=${TOKEN}`);
    expect(other.config.read32(0)).toBe(0x10ca8086);
  }
  expect((await setVirtualFunctions(igb, 0)).functions).toEqual([]);
  await release(igb);
});
