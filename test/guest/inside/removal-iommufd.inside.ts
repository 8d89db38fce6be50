/** A device that the kernel asks back. By iommufd: a kernel of test/kernel, nvme, and an IOMMU. */
import { test } from "bun:test";
import { losesItToItsDriver } from "./asked-back.ts";
import { addressesOf, bindTo } from "./rig.ts";

test("iommufd: an unbinding elsewhere ends while the program waits for a timer, and its memory stays readable", async () => {
  const [address] = addressesOf("nvme");
  await bindTo(address, "vfio-pci");
  await losesItToItsDriver(address, `iommufd:${address}`, undefined);
});
