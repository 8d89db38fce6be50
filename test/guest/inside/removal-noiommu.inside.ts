/** A device that the kernel asks back. In noiommu mode: a kernel of test/kernel, nvme, 16 huge pages, no IOMMU. */
import { test } from "bun:test";
import { bind } from "../../../src/pci/bus/binding.ts";
import { losesItToItsDriver } from "./asked-back.ts";
import { addressesOf } from "./rig.ts";

test("without an IOMMU: an unbinding elsewhere ends while the program waits for a timer, and its memory stays readable", async () => {
  const [address] = addressesOf("nvme");
  await bind(address, "vfio-pci", { group: false, force: false, noiommu: true });
  await losesItToItsDriver(address, `${address}?dma=physical`, undefined);
});
